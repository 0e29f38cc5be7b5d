import { foreignOrigin, type RequestOrigin } from '../../../platform/foreign-origin.js';

const post: RequestOrigin = { method: 'POST', host: 'localhost:3000', origin: undefined, fetchSite: undefined };
const placeOf = (request: Partial<RequestOrigin>): string | null =>
  foreignOrigin({ ...post, ...request }, ['https://models.example.org']);

describe('foreignOrigin', () => {
  it.each<[string, Partial<RequestOrigin>]>([
    ['a program', {}],
    ['a page of this server', { origin: 'http://localhost:3000', fetchSite: 'same-origin' }],
    ['a page of this server in an old browser', { origin: 'http://localhost:3000' }],
    ['a page of PUBLIC_URL', { host: '10.0.0.7:3000', origin: 'https://models.example.org', fetchSite: 'cross-site' }],
    ['a page under port 80', { host: 'localhost:80', origin: 'http://localhost' }],
    ['a page under IPv6', { host: '[::1]:3000', origin: 'http://[::1]:3000' }],
    ['a user who typed the address', { fetchSite: 'none' }],
    ['a read of another site', { method: 'GET', origin: 'http://evil.test', fetchSite: 'cross-site' }],
    ['a head of another site', { method: 'HEAD', fetchSite: 'cross-site' }],
    ['a preflight', { method: 'OPTIONS', origin: 'http://evil.test' }],
  ])('lets %s pass', (_who, request) => {
    expect(placeOf(request)).toBeNull();
  });

  it.each<[string, Partial<RequestOrigin>]>([
    ['a page of another site', { origin: 'http://evil.test', fetchSite: 'cross-site' }],
    ['a page of another site in an old browser', { origin: 'http://evil.test' }],
    ['a page of another port', { origin: 'http://localhost:3001', fetchSite: 'same-site' }],
    ['a page of another loopback name', { origin: 'http://127.0.0.1:3000', fetchSite: 'cross-site' }],
    ['a page of another scheme', { origin: 'https://localhost:3000' }],
    ['a page in a sandbox', { origin: 'null' }],
    ['a page that pretends to be ours', { origin: 'http://localhost:3000.evil.test' }],
    ['an empty origin', { origin: '' }],
    ['a request without a host', { host: undefined, origin: 'http://' }],
    ['a navigation without Origin', { fetchSite: 'cross-site' }],
    ['a sub-domain without Origin', { fetchSite: 'same-site' }],
    ['two values of Sec-Fetch-Site', { fetchSite: 'same-origin, cross-site' }],
    ['a method that is not known', { method: 'PURGE', origin: 'http://evil.test' }],
    ['a deletion', { method: 'DELETE', origin: 'http://evil.test' }],
  ])('names the place of %s', (_who, request) => {
    expect(placeOf(request)).toMatch(/^(Origin|Sec-Fetch-Site) is /);
  });
});
