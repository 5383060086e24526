import { CookieJar } from 'tough-cookie';

export interface Page {
  url: string;
  status: number;
  headers: Headers;
  body: string;
  /** The location of a redirect, absolute. */
  location: string | undefined;
}

/** A browser without a screen: cookies, redirects one by one, and forms as the page wrote them. */
export interface UserAgent {
  jar: CookieJar;
  get(url: string, headers?: Record<string, string>): Promise<Page>;
  post(
    url: string,
    form: Record<string, string> | URLSearchParams | string,
    headers?: Record<string, string>,
  ): Promise<Page>;
  /** Follows redirects while they stay on the origin; gives the first page, or the redirect that leaves. */
  follow(page: Page): Promise<Page>;
  /** Submits the page's form number `index` with its hidden fields and these, then follows. */
  submit(page: Page, fields?: Record<string, string>, index?: number): Promise<Page>;
}

export function makeUserAgent(jar = new CookieJar()): UserAgent {
  async function request(url: string, init: RequestInit): Promise<Page> {
    const cookie = await jar.getCookieString(url);
    const response = await fetch(url, {
      redirect: 'manual',
      ...init,
      headers: {
        accept: 'text/html',
        ...(cookie ? { cookie } : {}),
        ...(init.headers as Record<string, string>),
      },
    });
    for (const line of response.headers.getSetCookie()) {
      await jar.setCookie(line, url);
    }
    const location = response.headers.get('location');
    return {
      url,
      status: response.status,
      headers: response.headers,
      body: await response.text(),
      location: location === null ? undefined : new URL(location, url).href,
    };
  }

  const agent: UserAgent = {
    jar,
    get: (url, headers = {}) => request(url, { headers }),
    post: (url, form, headers = {}) =>
      request(url, {
        method: 'POST',
        body: typeof form === 'string' ? form : new URLSearchParams(form),
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      }),
    async follow(page) {
      let current = page;
      while (
        current.location !== undefined &&
        URL.parse(current.location)?.origin === new URL(page.url).origin
      ) {
        current = await agent.get(current.location);
      }
      return current;
    },
    async submit(page, fields = {}, index = 0) {
      const form = readForms(page.body)[index];
      if (!form) {
        throw new Error(`no form ${index} on ${page.url} (${page.status}): ${page.body.slice(0, 300)}`);
      }
      return agent.follow(
        await agent.post(new URL(form.action, page.url).href, { ...form.fields, ...fields }),
      );
    },
  };
  return agent;
}

export interface Form {
  action: string;
  /** Hidden fields and kept values. */
  fields: Record<string, string>;
}

const decodeEntities = (text: string) =>
  text.replace(/&(?:#(\d+)|(amp|lt|gt|quot));/g, (_, code, entity) =>
    code
      ? String.fromCodePoint(Number(code))
      : ({ amp: '&', lt: '<', gt: '>', quot: '"' } as Record<string, string>)[entity]!,
  );

const attribute = (tag: string, name: string) => {
  const match = new RegExp(`\\s${name}="([^"]*)"`).exec(tag);
  return match ? decodeEntities(match[1]!) : undefined;
};

/** The forms of a page with the inputs that would be sent as they stand. */
export function readForms(body: string): Form[] {
  return [...body.matchAll(/<form\b[^>]*>[\s\S]*?<\/form>/g)].map(([form]) => ({
    action: attribute(form, 'action') ?? '',
    fields: Object.fromEntries(
      [...form.matchAll(/<input\b[^>]*>/g)].flatMap(([input]) => {
        const name = attribute(input, 'name');
        return name ? [[name, attribute(input, 'value') ?? '']] : [];
      }),
    ),
  }));
}
