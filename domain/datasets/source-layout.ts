import type { Split } from '../../contracts/datasets/datasets.js';
import { clutterKind } from './clutter.js';

/** An entry of a folder. `name` is what the path contains; `text` is its text, for people and patterns. */
export interface FolderEntry {
  name: string;
  text: string;
  isFolder: boolean;
}
/** Lists a folder by its path in the source; an unreadable one has no entries. */
export type ListFolder = (path: string) => Promise<readonly FolderEntry[]>;

/** A folder whose folders are classes; with a label it is a folder of that class itself. */
export interface ClassRoot {
  path: string;
  label: string | null;
  side: Split | null;
}

export interface SourceLayout {
  roots: ClassRoot[];
  /** Folders of an existing split, as they are called; empty without one. */
  splitFolders: string[];
  /** The folder that the class folders were found in, if it is not the source itself. */
  wrapper: string | null;
  /** Why no class folders can be found, with the way out. */
  fault: string | null;
}

interface Listing {
  path: string;
  /** The path as text. */
  text: string;
  folders: FolderEntry[];
  hasImages: boolean;
}

const sidePattern =
  /^(?:seg[ _-])?(?:(?<train>train(?:ing)?|trn)|(?<validation>val(?:id(?:ation)?)?|dev)|(?<test>test(?:ing)?))(?:[ _-]?(?:set|data|images|split))?\d*$/;
const imageFolders = new Set(['images', 'image', 'imgs', 'img', 'jpegimages']);
const annotationFolders = new Set(['labels', 'label', 'annotations', 'annotation', 'masks', 'mask', 'anns', 'xml']);
const imageName = /\.(?:jpe?g|jfif|png|webp|gif|bmp|tiff?|heic|avif)$/i;
/** Deeper chains of single folders are not searched. */
const maxWrappers = 8;
const year = /^(?:19|20)\d\d(?:\D|$)/;

/** The split that a folder name stands for, such as `validation` for `Valid`; null for any other name. */
export function sideOf(name: string): Split | null {
  const found = sidePattern.exec(name.trim().toLowerCase())?.groups;
  if (found?.['train'] !== undefined) return 'train';
  if (found?.['validation'] !== undefined) return 'validation';
  return found?.['test'] === undefined ? null : 'test';
}

/**
 * Finds the class folders of a source: directly in it, in a folder around them, or on the sides of an existing split,
 * which lie above the class folders (`train/grass`) or below them (`grass/train`). `isClass` says which folder names
 * are classes of the dataset already, so that such a folder is not taken for one around classes.
 */
export async function readLayout(
  list: ListFolder,
  isClass: (text: string) => boolean = () => false,
): Promise<SourceLayout> {
  const top = await listingOf(list, { path: '', text: '' });
  const first = top.folders[0]?.text ?? '';
  const base = sideOf(first) === null && isClass(first) ? top : await aroundClasses(list, top);
  const wrapper = base === top ? null : base.text;
  const plain = { roots: [rootAt(base.path)], splitFolders: [], wrapper };
  const split = (await splitAbove(list, base)) ?? (await splitBelow(list, base));
  const fault = annotatedFault(base) ?? split?.fault ?? (await flatFault(list, base));
  return { ...plain, ...(split && { roots: split.roots, splitFolders: split.splitFolders }), fault };
}

function rootAt(path: string, side: Split | null = null, label: string | null = null): ClassRoot {
  return { path, label, side };
}

async function listingOf(list: ListFolder, { path, text }: Pick<Listing, 'path' | 'text'>): Promise<Listing> {
  const entries = (await list(path)).filter((entry) => clutterKind(entry.text) === null);
  return {
    path,
    text,
    folders: entries.filter(({ isFolder }) => isFolder).sort((a, b) => (a.name < b.name ? -1 : 1)),
    hasImages: entries.some(({ isFolder, text: name }) => !isFolder && imageName.test(name)),
  };
}

function inside(list: ListFolder, parent: Listing, { name, text }: FolderEntry): Promise<Listing> {
  const below = (folder: string, entry: string): string => (folder === '' ? entry : `${folder}/${entry}`);
  return listingOf(list, { path: below(parent.path, name), text: below(parent.text, text) });
}

/**
 * The folder that holds the class folders: the first on the way down with several folders, unless they are years of
 * one class, or the first that is named as a side. If there is none, the folder itself.
 */
async function aroundClasses(list: ListFolder, start: Listing): Promise<Listing> {
  let at = start;
  for (let depth = 0; depth < maxWrappers; depth += 1) {
    const [only, second] = at.folders;
    if (only === undefined || second !== undefined || at.hasImages) break;
    at = await inside(list, at, only);
    if (sideOf(only.text) !== null) return at;
  }
  const holdsClasses = at.folders.length > 1 && !at.hasImages && !at.folders.every(({ text }) => year.test(text));
  return holdsClasses ? at : start;
}

interface FoundSplit {
  roots: ClassRoot[];
  splitFolders: string[];
  fault: string | null;
}

/** Sides with class folders in them. A side without is no root: the label of its images is unknown. */
async function splitAbove(list: ListFolder, base: Listing): Promise<FoundSplit | null> {
  const sides = sidesIn(base);
  if (!isSplit(sides, base)) return null;
  const roots: ClassRoot[] = [];
  let fault: string | null = null;
  for (const { folder, side } of sides) {
    const listing = await aroundClasses(list, await inside(list, base, folder));
    fault ??= annotatedFault(listing);
    if (listing.folders.length > 0) roots.push(rootAt(listing.path, side));
  }
  const splitFolders = sides.map(({ folder }) => folder.text);
  return { roots, splitFolders, fault: fault ?? (roots.length === 0 ? noClasses(splitFolders) : null) };
}

/** Class folders that hold nothing but sides. */
async function splitBelow(list: ListFolder, base: Listing): Promise<FoundSplit | null> {
  const roots: ClassRoot[] = [];
  const splitFolders = new Set<string>();
  for (const folder of base.folders) {
    const listing = await inside(list, base, folder);
    const sides = sidesIn(listing);
    if (listing.hasImages || sides.length !== listing.folders.length || !isSplit(sides, listing)) return null;
    for (const { folder: below, side } of sides) {
      splitFolders.add(below.text);
      roots.push(rootAt(`${listing.path}/${below.name}`, side, folder.text));
    }
  }
  return roots.length === 0 ? null : { roots, splitFolders: [...splitFolders].sort(), fault: null };
}

type Sides = { folder: FolderEntry; side: Split }[];

function sidesIn({ folders }: Listing): Sides {
  return folders.flatMap((folder) => {
    const side = sideOf(folder.text);
    return side === null ? [] : [{ folder, side }];
  });
}

/** A single folder called `train` beside others may well be a class. */
function isSplit(sides: Sides, { folders }: Listing): boolean {
  const kinds = new Set(sides.map(({ side }) => side));
  return kinds.size > 1 && (kinds.has('train') || sides.length === folders.length);
}

/** Images beside their annotations, as detection and segmentation want them. */
function annotatedFault({ folders, text }: Listing): string | null {
  const names = folders.map((folder) => folder.text);
  const images = names.find((name) => imageFolders.has(name.toLowerCase()));
  const annotations = names.find((name) => annotationFolders.has(name.toLowerCase()));
  if (images === undefined || annotations === undefined) return null;
  const where = text === '' ? 'The source' : `The folder ${text} in the source`;
  return `${where} has the folders ${images} and ${annotations}, as for object detection; a classifier needs one folder for each class. Sort the images into class folders.`;
}

/** Images in a folder whose name is certainly no class. */
async function flatFault(list: ListFolder, base: Listing): Promise<string | null> {
  const [only, second] = base.folders;
  if (only === undefined) return sideOf(base.text.split('/').at(-1) ?? '') === null ? null : noClasses([base.text]);
  if (second !== undefined || !imageFolders.has(only.text.toLowerCase())) return null;
  const { folders } = await inside(list, base, only);
  return folders.length === 0 ? noClasses([only.text]) : null;
}

function noClasses(folders: readonly string[]): string {
  return `The images in ${folders.join(', ')} are in no class folders, so their labels are unknown. Sort the images into one folder for each class.`;
}
