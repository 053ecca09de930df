// Opens the docs page in a browser, authorizes with a user name and a password, executes one operation and prints its status.
//
// node docs_page.mjs BROWSER ADDRESS USERNAME PASSWORD
import { createRequire } from 'node:module';

const { chromium } = createRequire(`${process.env.NODE_PATH}/`)('playwright-core');
const [executablePath, address, username, password] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath,
  args: [
    '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    // Chromium's own sandbox does not start as root.
    ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
  ],
});
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
  page.setDefaultTimeout(30_000);
  const faults = [];
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(`http://${address}/`) && !/^(data|blob):/.test(request.url())) faults.push(`request to ${request.url()}`);
  });

  await page.goto(`http://${address}/docs`);
  await page.getByRole('button', { name: 'Authorize' }).first().click();
  const dialog = page.locator('.dialog-ux');
  await dialog.locator('#oauth_username').fill(username);
  await dialog.locator('#oauth_password').fill(password);
  await dialog.locator('.auth-container', { has: page.locator('#oauth_username') }).locator('button.authorize').click();
  await dialog.locator('button', { hasText: 'Logout' }).first().waitFor();
  await dialog.locator('.close-modal').click();

  const operation = page.locator('.opblock-get', { has: page.locator('[data-path="/api/v1/auth/me"]') });
  await operation.locator('.opblock-summary').click();
  await operation.getByRole('button', { name: 'Execute' }).click();
  const response = operation.locator('.live-responses-table .response').first();
  const status = (await response.locator('.response-col_status').innerText()).split('\n')[0].trim();
  const body = JSON.parse(await response.locator('.response-col_description code').first().innerText());

  await page.goto(`http://${address}/redoc`);
  await page.getByText('/api/v1/todos').first().waitFor({ state: 'attached' });
  console.log(JSON.stringify({ status, username: body.username, faults }));
} finally {
  await browser.close();
}
