import { isTemporaryIndex, readStaged, restage, stagedFiles } from './staged-files.mjs';

/**
 * Git's pre-commit hook: formats the staged files with Prettier and lints them with ESLint. It works on the staged
 * content, so that partially staged files are handled correctly. lint-staged does the same, but its maintained versions
 * need Node 22, and it brings 30 packages.
 */

const tools = await loadTools();
if (tools === null) {
  console.warn('The staged files were not checked: Prettier and ESLint are not installed. Run npm run setup.');
} else if (!(await check(tools))) {
  process.exitCode = 1;
}

/** @typedef {import('./staged-files.mjs').StagedFile} StagedFile */
/** @typedef {NonNullable<Awaited<ReturnType<typeof loadTools>>>} Tools */

async function loadTools() {
  try {
    const [prettier, { ESLint }] = await Promise.all([import('prettier'), import('eslint')]);
    return { prettier, eslint: new ESLint({ warnIgnored: false }) };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}

/**
 * Restages formatted files only when all files pass: a refused commit changes nothing.
 * @param {Tools} tools
 * @returns {Promise<boolean>} whether the commit may proceed
 */
async function check({ prettier, eslint }) {
  /** @type {{ file: StagedFile, content: string }[]} */
  const reformatted = [];
  /** @type {string[]} */
  const problems = [];
  for (const file of stagedFiles()) {
    try {
      const canFormat = await isFormatted(prettier, file);
      if (!canFormat && !isLinted(file)) continue;
      const staged = readStaged(file);
      const content = canFormat ? await format(prettier, file, staged) : staged;
      if (content !== staged) reformatted.push({ file, content });
      if (isLinted(file)) problems.push(...(await lint(eslint, file, content)));
    } catch (error) {
      problems.push(`${file.path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (problems.length === 0 && isTemporaryIndex()) {
    for (const { file } of reformatted) problems.push(`${file.path} is not formatted. Run npx prettier --write on it.`);
  }
  if (problems.length > 0) {
    console.error(`${problems.join('\n')}\nNothing was committed. Fix this, stage it and commit again.`);
    return false;
  }
  for (const { file, content } of reformatted) {
    restage(file, content);
    console.log(`formatted ${file.path}`);
  }
  return true;
}

/**
 * @param {Tools['prettier']} prettier
 * @param {StagedFile} file
 */
async function isFormatted(prettier, { path }) {
  const { ignored, inferredParser } = await prettier.getFileInfo(path, {
    ignorePath: ['.gitignore', '.prettierignore'],
  });
  return !ignored && inferredParser !== null;
}

/**
 * @param {Tools['prettier']} prettier
 * @param {StagedFile} file
 * @param {string} content
 */
async function format(prettier, { path }, content) {
  return prettier.format(content, { ...(await prettier.resolveConfig(path)), filepath: path });
}

/** @param {StagedFile} file */
function isLinted({ path }) {
  return /\.(ts|mjs|cjs|js)$/.test(path);
}

/**
 * @param {Tools['eslint']} eslint
 * @param {StagedFile} file
 * @param {string} content
 * @returns {Promise<string[]>} errors; warnings do not stop a commit
 */
async function lint(eslint, { path }, content) {
  const [result] = await eslint.lintText(content, { filePath: path });
  const errors = result?.messages.filter(({ severity }) => severity === 2) ?? [];
  return errors.map(
    ({ line, column, message, ruleId }) =>
      `${path}:${String(line)}:${String(column)} ${message} (${ruleId ?? 'syntax'})`,
  );
}
