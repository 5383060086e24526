/** A confidential client. */
export interface Identity {
  client_id: string;
  client_secret: string;
}

const makeClient = (client_id: string): Identity => ({ client_id, client_secret: client_id.padEnd(43, '-') });

export const machine = makeClient('bench-machine');
export const web = makeClient('bench-web');
/** Tessera's default: ID tokens signed with RSA of 3,072 bits. */
export const webRs256 = makeClient('bench-web-rs256');

export const resource = 'https://api.example.test';
export const redirect_uri = 'https://app.example.test/callback';
export const email = 'alice@example.test';
export const password = 'correct horse battery staple';
/** The address of one of the people who only sign in. */
export const personEmail = (index: number) => `person-${index}@example.test`;
