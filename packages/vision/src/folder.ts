// Images in one folder a class, as torchvision.datasets.ImageFolder reads them.
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { empty, float32, IndexError, RuntimeError, type Tensor, utils } from 'tytorch'
import { Dataset } from 'tytorch/data'
import { lookUp } from './bytes.ts'
import { decodeImage, decodePlanes, type Planes, readFile } from './decode.ts'
import type { Sides } from './functional.ts'
import { keepDecoder } from './jpeg.ts'
import { tablesOf } from './levels.ts'
import { applyTransform, Compose, isPlain, Normalize, Resize, ToTensor, type Transform } from './transforms.ts'

/** Endings of the files that count as images. */
export const IMG_EXTENSIONS: readonly string[] = ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif']

/** What `ImageFolder` takes by name. Functions must be exports of a module that workers can find. */
export interface ImageFolderOptions<O> {
  /** Applied to each image; a uint8 tensor [3, H, W] if it is absent. */
  readonly transform?: Transform<Tensor, O> | Compose<Tensor, O> | null
  /** Applied to each class's number. */
  readonly targetTransform?: Transform<number, number> | null
  /** Reads a file, instead of `decodeImage`. */
  readonly loader?: ((path: string) => Promise<Tensor> | Tensor) | null
  /** Which files are images, instead of those with a known ending. */
  readonly isValidFile?: ((path: string) => boolean) | null
  /** Classes without an image are no error. */
  readonly allowEmpty?: boolean
}

/**
 * The images under `root`, where each folder is a class: samples are [image, number of the class], which a loader
 * collates to a batch and an int64 tensor. A `Resize` that comes first is done by the decoder.
 */
export class ImageFolder<O = Tensor> extends Dataset<Promise<[image: O, target: number]>> {
  static readonly url = import.meta.url
  readonly root: string
  /** Names of the classes, sorted. */
  readonly classes: readonly string[]
  readonly classToIdx: Readonly<Record<string, number>>
  /** Each image's path and its class's number. */
  readonly samples: readonly (readonly [path: string, target: number])[]
  readonly transform: Transform<Tensor, O> | null
  readonly targetTransform: Transform<number, number> | null
  readonly loader: ((path: string) => Promise<Tensor> | Tensor) | null

  /** Throws RuntimeError if there is no folder of a class, or none of its images. */
  constructor(root: string, options: ImageFolderOptions<O> = {}) {
    super()
    this.root = root
    this.classes = classesIn(root)
    this.classToIdx = Object.fromEntries(this.classes.map((name, i) => [name, i]))
    const isValid = options.isValidFile ?? ((path) => IMG_EXTENSIONS.includes(extname(path).toLowerCase()))
    const files = this.classes.map((name) => filesIn(join(root, name)).filter(isValid))
    const empty = this.classes.filter((_, i) => files[i].length === 0)
    if (empty.length > 0 && !options.allowEmpty) {
      const supported = options.isValidFile ? '' : ` Supported extensions are: ${IMG_EXTENSIONS.join(', ')}`
      throw new RuntimeError(`Found no valid file for the classes ${empty.join(', ')}.${supported}`)
    }
    this.samples = files.flatMap((paths, target) => paths.map((path) => [path, target] as const))
    this.transform = options.transform ?? null
    this.targetTransform = options.targetTransform ?? null
    this.loader = options.loader ?? null
    if (this.loader === null) keepDecoder()
  }

  override get length(): number {
    return this.samples.length
  }

  /** The class's number of each image. */
  get targets(): number[] {
    return this.samples.map(([, target]) => target)
  }

  override async getItem(index: number): Promise<[image: O, target: number]> {
    const [path, target] = this.sampleAt(index)
    return this.finish(await this.read(path), target)
  }

  /** Decodes all at once, and transforms in order, so that what is drawn does not depend on which comes first. */
  override getItems(indices: readonly number[]): Promise<[image: O, target: number]>[] {
    const decoded = Promise.all(
      indices.map((index) => {
        const [path, target] = this.sampleAt(index)
        return Promise.resolve(this.read(path)).then((image) => ({ image, target }))
      }),
    )
    const done = decoded.then((all) => all.map(({ image, target }) => this.finish(image, target)))
    return indices.map((_, i) => done.then((all) => all[i]))
  }

  /** A batch for the loader: images of equal size go straight into its tensor where the transform is a known one. */
  override async getBatch(indices: readonly number[]): Promise<unknown> {
    const own = ImageFolder.prototype
    const asIs = this.getItem === own.getItem && this.getItems === own.getItems && this.loader === null
    const plan = asIs ? planOf(this.transform) : null
    const images = plan && (await this.decodeTogether(indices, plan))
    if (!images) return utils.data.defaultCollate(await Promise.all(this.getItems(indices)))
    const targets = indices.map((index) => {
      const [, target] = this.sampleAt(index)
      return this.targetTransform ? applyTransform(this.targetTransform, target) : target
    })
    return [images, utils.data.defaultCollate(targets)]
  }

  /** The images as float32 [B, 3, H, W]; null if their sizes differ. */
  private async decodeTogether(indices: readonly number[], { size, mean, std }: Plan): Promise<Tensor | null> {
    const tables = tablesOf(3, mean, std)
    if (tables === null) return null
    const paths = indices.map((index) => this.sampleAt(index)[0])
    const files = await readAll(paths)
    let out: Tensor | null = null
    const put = (i: number, { levels, height, width }: Planes): boolean => {
      out ??= empty([paths.length, 3, height, width], { dtype: float32 })
      if (out.size(2) !== height || out.size(3) !== width) return false
      const n = 3 * height * width
      lookUp(levels, tables, (out.raw() as Float32Array).subarray(i * n, (i + 1) * n))
      return true
    }
    for (const [i, path] of paths.entries()) {
      if (!(await decodePlanes(files[i], path, size, (planes) => put(i, planes)))) return null
    }
    return out
  }

  private sampleAt(index: number): readonly [path: string, target: number] {
    const sample = Number.isInteger(index) ? this.samples.at(index) : undefined
    if (sample) return sample
    throw new IndexError(`list index out of range: index ${String(index)} of a dataset of length ${this.length}`)
  }

  private read(path: string): Promise<Tensor> | Tensor {
    return this.loader ? this.loader(path) : decodeImage(path, { mode: 'RGB', resize: leadingResize(this.transform) })
  }

  private finish(image: Tensor, target: number): [image: O, target: number] {
    // A Resize that the decoder has done finds the image as it should be, and leaves it.
    const made = this.transform ? applyTransform(this.transform, image) : (image as unknown as O)
    return [made, this.targetTransform ? applyTransform(this.targetTransform, target) : target]
  }
}

/** What the first transform resizes to, if that is all it does. */
function leadingResize(transform: unknown): Sides | null {
  if (isPlain(transform, Compose)) return leadingResize(transform.transforms[0])
  return isPlain(transform, Resize) ? transform.size : null
}

/** Milliseconds that reading a file takes where it is at hand; more is waiting for a disk or a network. */
const AT_HAND = 2

/** The bytes of files: one after another, which costs the least, and all at once from the first that takes its time. */
function readAll(paths: readonly string[]): Promise<Uint8Array[]> {
  let slow = false
  return Promise.all(
    paths.map((path) => {
      if (slow) return readFile(path)
      const start = performance.now()
      const bytes = readFileSync(path)
      slow = performance.now() - start > AT_HAND
      return bytes
    }),
  )
}

/** A transform that is [Resize,] ToTensor, Normalize. */
interface Plan {
  readonly size: Sides | null
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

function planOf(transform: unknown): Plan | null {
  if (!isPlain(transform, Compose)) return null
  const size = leadingResize(transform)
  const rest = transform.transforms.slice(size === null ? 0 : 1)
  const [first, second]: readonly unknown[] = rest
  if (rest.length !== 2 || !isPlain(first, ToTensor) || first.layout || !isPlain(second, Normalize)) return null
  return { size, mean: second.mean, std: second.std }
}

function classesIn(root: string): string[] {
  let entries: ReturnType<typeof foldersIn>
  try {
    entries = foldersIn(root)
  } catch (error) {
    throw new RuntimeError(`ImageFolder: can't read the folder '${root}': ${(error as Error).message}`, {
      cause: error,
    })
  }
  if (entries.length === 0) throw new RuntimeError(`Couldn't find any class folder in ${root}.`)
  return entries.sort()
}

function foldersIn(path: string): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
}

/** Paths of all files under a folder: sorted folder by folder, and by name in each. */
function filesIn(folder: string): string[] {
  const folders = [folder]
  const files = new Map<string, string[]>()
  for (const path of folders) {
    const names: string[] = []
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory()) folders.push(join(path, entry.name))
      else names.push(entry.name)
    }
    files.set(path, names.sort())
  }
  return folders.sort().flatMap((path) => (files.get(path) ?? []).map((name) => join(path, name)))
}
