import { createHostCheck, hostNameOf, hostPattern } from '../../../platform/allowed-hosts.js';
import { allowedHosts, loadConfig } from '../../../platform/config.js';

describe('hostNameOf', () => {
  it.each([
    ['localhost:3000', 'localhost'],
    ['API.Example.ORG', 'api.example.org'],
    ['example.org.', 'example.org'],
    ['example.org.:80', 'example.org'],
    ['127.0.0.1:3000', '127.0.0.1'],
    ['2130706433', '127.0.0.1'],
    ['[::1]:3000', '[::1]'],
    ['[0:0:0:0:0:0:0:1]', '[::1]'],
    ['my_service:8080', 'my_service'],
    ['localhost:', 'localhost'],
  ])('reads %s as %s', (authority, name) => {
    expect(hostNameOf(authority)).toBe(name);
  });

  it.each([
    '',
    ':3000',
    'a b',
    'evil@localhost',
    'localhost/x',
    'localhost#',
    'a?b',
    '[::1',
    '::1',
    'a:b',
    'a:99999999',
    'a%2eb',
    '1.2.3.4.5',
  ])('takes “%s” for malformed', (authority) => {
    expect(hostNameOf(authority)).toBeNull();
  });
});

describe('createHostCheck', () => {
  const isAllowed = createHostCheck(['api.example.org', '*.models.example.org', '[2001:db8::1]']);

  it.each([
    'localhost',
    'api.localhost',
    '127.0.0.1',
    '127.8.9.10',
    '[::1]',
    'api.example.org',
    'a.models.example.org',
    '[2001:db8::1]',
  ])('allows %s', (name) => {
    expect(isAllowed(name)).toBe(true);
  });

  it.each([
    ...['rebind.test', 'example.org', 'models.example.org', 'evilmodels.example.org', 'localhost.evil.test'],
    ...['127.0.0.1.evil.test', '127.evil.test', '0.0.0.0', '192.168.1.5', '[::]', 'notlocalhost', ''],
  ])('refuses “%s”', (name) => {
    expect(isAllowed(name)).toBe(false);
  });

  it('allows every name with *', () => {
    expect(createHostCheck(['*'])('rebind.test')).toBe(true);
  });
});

describe('ALLOWED_HOSTS', () => {
  const hostsOf = (settings: Record<string, string>): string[] => allowedHosts(loadConfig(settings));

  it('is joined by the hosts of PUBLIC_URL, REPLICA_URL and a concrete HOST', () => {
    const settings = {
      ALLOWED_HOSTS: 'A.example.org, *.b.example.org, ::1',
      HOST: '192.168.1.5',
      PUBLIC_URL: 'https://Public.example.org/models',
      REPLICA_URL: 'http://10.0.0.7:3000',
    };
    const hosts = ['a.example.org', '*.b.example.org', '[::1]', 'public.example.org', '10.0.0.7', '192.168.1.5'];
    expect(hostsOf(settings)).toEqual(hosts);
  });

  it.each(['0.0.0.0', '::'])('does not contain HOST=%s, which is no name', (HOST) => {
    expect(hostsOf({ HOST })).toEqual([]);
  });

  it.each(['example.org:3000', 'http://example.org', 'a*.example.org', '*.', '[::1]:3000'])(
    'must not be “%s”',
    (entry) => {
      expect(hostPattern(entry)).toBeNull();
      expect(() => loadConfig({ ALLOWED_HOSTS: entry })).toThrow('ALLOWED_HOSTS');
    },
  );
});
