import { loadConfig } from '../../../platform/config.js';
import { createLogger } from '../../../platform/logging.js';
import { addressWithoutSecrets, withoutCredentials, withoutSecrets } from '../../../platform/secrets.js';

describe('addressWithoutSecrets', () => {
  it.each([
    ['https://ada:pass@host.example/a/b?token=t#x', 'https://host.example/a/b'],
    ['postgresql://ada:pass@host:5432/db?sslmode=require', 'postgresql://host:5432/db'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
    ['not an address with a password', '***'],
  ])('shows %s as %s', (address, shown) => {
    expect(addressWithoutSecrets(address)).toBe(shown);
  });
});

describe('withoutCredentials', () => {
  it('moves user name and password into a header, decoded', () => {
    const { url, headers } = withoutCredentials('https://ada:p%40ss@host.example/hook?x=1');
    expect(url.href).toBe('https://host.example/hook?x=1');
    expect(headers).toEqual({ Authorization: `Basic ${Buffer.from('ada:p@ss').toString('base64')}` });
    expect(withoutCredentials('https://host.example/').headers).toEqual({});
  });
});

describe('the secrets of the settings', () => {
  it('are hidden from every log line and text, in each spelling', () => {
    loadConfig({
      DATABASE_URL: 'postgresql://postgres:canary%2Fdatabase@127.0.0.1/db',
      SMTP_URL: 'smtp://mailer:canary-smtp@127.0.0.1',
      NOTIFY_EMAIL_FROM: 'a@example.org',
      NOTIFY_EMAIL_TO: 'b@example.org',
      NOTIFY_WEBHOOK_URL: 'https://127.0.0.1/hook?token=canary-query',
      NOTIFY_WEBHOOK_SECRET: 'canary-signing-key"',
      NOTIFY_SLACK_WEBHOOK_URL: 'https://127.0.0.1/services/T0/B0/canary-of-slack-path',
      TEMPORAL_API_KEY: 'canary-temporal',
    });
    const lines: string[] = [];
    const logger = createLogger('test', 'info', { write: (line) => void lines.push(line) });
    const text = [
      'canary/database canary%2Fdatabase canary-smtp canary-query canary-of-slack-path canary-temporal',
      'canary-signing-key"',
    ].join(' ');
    logger.info({ error: new Error(text), text }, text);
    expect(lines.join('')).not.toContain('canary');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ text: '*** *** *** *** *** *** ***' });
    expect(withoutSecrets(text)).not.toContain('canary');
    expect(withoutSecrets('Postgres of user postgres at 127.0.0.1')).toBe('Postgres of user postgres at 127.0.0.1');
  });

  it('do not stand in the message about a wrong setting', () => {
    expect(() => loadConfig({ DATABASE_URL: 'canary-no-url', NOTIFY_WEBHOOK_SECRET: 'canary', PORT: 'x' })).toThrow(
      /^(?!.*canary)/s,
    );
  });
});
