/** Redirects that are followed for one request. */
const mostRedirects = 10;

/**
 * As `fetch`, with `secrets` as further headers for the URL's own origin alone: a redirect to another host goes without
 * them. `fetch` itself would pass on every header but `authorization`. Browsers hide where a redirect leads, so there
 * it is followed by `fetch`.
 */
export async function fetchFrom(
  url: URL,
  secrets: Readonly<Record<string, string>>,
  init: RequestInit & { readonly headers: Readonly<Record<string, string>> },
): Promise<Response> {
  if (Object.keys(secrets).length === 0) return fetch(url, init);
  let at = url;
  for (let redirects = 0; redirects <= mostRedirects; redirects++) {
    const headers = at.origin === url.origin ? { ...secrets, ...init.headers } : init.headers;
    const response = await fetch(at, { ...init, headers, redirect: "manual" });
    if (response.type === "opaqueredirect") return fetch(url, { ...init, headers: { ...secrets, ...init.headers } });
    const location = [301, 302, 303, 307, 308].includes(response.status) ? response.headers.get("location") : null;
    if (location === null) return response;
    await response.body?.cancel();
    at = new URL(location, at);
    // `fetch` itself follows no redirect to another scheme, such as data:.
    if (at.protocol !== "http:" && at.protocol !== "https:")
      throw new Error(`${url.origin} redirects to the scheme ${at.protocol}`);
  }
  throw new Error(`${url.origin} redirects more than ${mostRedirects} times`);
}
