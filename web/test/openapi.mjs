// Lints the OpenAPI document with Redocly's strict rules, which openapi-typescript brings along; examples must be what their schemas say.
import { fileURLToPath } from 'node:url';
import { createConfig, formatProblems, getTotals, lint } from '@redocly/openapi-core';

const config = await createConfig({
  extends: ['recommended-strict'],
  rules: {
    'info-license': 'off', // the project has none yet
    'info-license-strict': 'off',
    'no-invalid-parameter-examples': 'error',
    'no-invalid-schema-examples': 'error',
    'operation-4xx-problem-details-rfc7807': 'error',
    'operation-tag-defined': 'error',
    'parameter-description': 'error',
    'path-params-defined': 'error',
  },
});
const problems = await lint({ ref: fileURLToPath(new URL('../../internal/httpapi/openapi.json', import.meta.url)), config });
if (problems.length > 0) {
  formatProblems(problems, { format: 'stylish', totals: getTotals(problems), version: '', maxProblems: 100 });
  process.exitCode = 1;
}
