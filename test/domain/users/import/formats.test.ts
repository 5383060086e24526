import { describe, expect, test } from '@jest/globals';
import { makeReader } from '#src/domain/users/import/formats.ts';

const csv = (header: string) => {
  const read = makeReader('csv');
  expect(read(header)).toBeUndefined();
  return read;
};

describe('JSON lines', () => {
  const read = makeReader('jsonl');

  test('give their fields, without those that are null', () => {
    expect(read('{"email":"a@example.test","name":null,"roles":["x"],"more":{}}')).toEqual({
      fields: { email: 'a@example.test', roles: ['x'], more: {} },
    });
  });

  test.each([['{"password": "hunter2"'], ['[]'], ['null'], ['"a"'], ['email,name'], ['{}{}']])(
    'refuse %j and do not repeat it',
    (text) => {
      expect(read(text)).toEqual({ flaw: 'is not a JSON object' });
    },
  );

  test('nested as deep as a line can hold are no trouble', () => {
    expect(read(`{"email":${'['.repeat(30_000)}${']'.repeat(30_000)}}`)).toHaveProperty('fields.email');
  });
});

describe('CSV', () => {
  test('gives a field for each cell that is not empty, with roles and truth values read', () => {
    const read = csv('email,name,email_verified,roles,status');
    expect(read('a@example.test,"Last, ""First""",TRUE,admin; member;,')).toEqual({
      fields: {
        email: 'a@example.test',
        name: 'Last, "First"',
        email_verified: true,
        roles: ['admin', 'member'],
      },
    });
    expect(read('a@example.test,,maybe,,')).toEqual({
      fields: { email: 'a@example.test', email_verified: 'maybe' },
    });
  });

  test('takes what looks like a formula for the data that it is', () => {
    expect(csv('email,name')('a@example.test,"=HYPERLINK(""http://x"")"')).toEqual({
      fields: { email: 'a@example.test', name: '=HYPERLINK("http://x")' },
    });
    expect(csv('email,name')('+a@example.test,@SUM(1)')).toEqual({
      fields: { email: '+a@example.test', name: '@SUM(1)' },
    });
  });

  test('takes names of columns in any order and case', () => {
    expect(csv(' Name ,EMAIL')('A,a@example.test')).toEqual({
      fields: { name: 'A', email: 'a@example.test' },
    });
  });

  test.each([
    ['a@example.test', 'has 1 cells where the first line names 2 columns'],
    ['a,b,c', 'has 3 cells where the first line names 2 columns'],
    ['"a"b,c', 'is not CSV: a quote stands where none may'],
    ['5" disk,c', 'is not CSV: a quote stands where none may'],
    ['a\rb,c,d', 'has 3 cells where the first line names 2 columns'],
  ])('refuses the row %j', (row, flaw) => {
    expect(csv('email,name')(row)).toEqual({ flaw });
  });

  test.each([
    ['that is a user', 'alice@example.test,hunter2', /^the first line must name the columns, .*email,name/],
    ['of semicolons', 'email;name', /must name the columns, separated by commas/],
    ['with a broken quote', '"email"x,name', /must name the columns/],
    ['with passwords [A-086]', 'email,password', /plain passwords are not imported, only password_hash/],
    ['with other columns', 'email,shoe size,phone', /not known: "shoe size", "phone"/],
    ['with a column twice', 'email,name,email', /names a column twice/],
  ])('refuses a first line %s', (_, line, message) => {
    const read = makeReader('csv');
    expect(() => read(line)).toThrow(
      expect.objectContaining({ code: 'invalid', message: expect.stringMatching(message) }),
    );
    expect(() => read(line)).not.toThrow(/hunter2|alice/);
  });
});
