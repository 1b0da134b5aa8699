// Loads and stores of vectors of every dtype: a group is four elements, held in one vector (4-byte compute types and
// bool, as a mask) or two (8-byte ones). Storage types narrower than their compute type are converted here.
import { bfloat16, bool, type DType, float16, int8, int16, uint8 } from '../../base/dtype.ts'
import { f32x4, I32, i8x16, i16x8, i32, i32x4, type Op, v128 } from './assembler.ts'
import type { Frame } from './frame.ts'

/** How the lanes of a group lie in memory: adjacent (`c`), one element for all (`s`), or a stride apart (`g`). */
export interface Access {
  readonly kind: 'c' | 's' | 'g'
  /** Local with the address of the first group's first element. */
  readonly pointer: number
  /** Local with the bytes between lanes; used by `g`. */
  readonly stride: number
  /** Bytes from `pointer` on, for loads of 4 and 8 bytes. */
  readonly offset?: number
}

/** Vectors of one group, in lane order. */
export type Parts = readonly number[]

const scalarLoad = (dtype: DType): Op => {
  if (dtype === int8) return i32.load8S
  if (dtype.itemsize === 1) return i32.load8U
  return dtype === int16 ? i32.load16S : i32.load16U
}

/** Loads one element into all lanes. */
export function loadSplat(
  frame: Frame,
  dtype: DType,
  { pointer, offset = 0 }: Pick<Access, 'pointer' | 'offset'>,
): Parts {
  const { f } = frame
  const v = frame.vector()
  f.get(pointer)
  if (dtype.itemsize >= 4) f.mem(dtype.itemsize === 8 ? v128.load64Splat : v128.load32Splat, offset).set(v)
  else f.mem(scalarLoad(dtype)).op(i32x4.splat).set(v)
  return [decode(frame, dtype, v)]
}

/** Loads `count` adjacent groups. */
export function loadGroups(frame: Frame, dtype: DType, access: Access, count: number): Parts[] {
  if (access.kind === 's') {
    const parts = loadSplat(frame, dtype, access)
    return Array.from({ length: count }, () => parts)
  }
  const raw = access.kind === 'g' ? loadLanes(frame, dtype, access, count) : loadAdjacent(frame, dtype, access, count)
  return raw.map((parts) => parts.map((v) => decode(frame, dtype, v)))
}

function loadAdjacent(frame: Frame, dtype: DType, access: Access, count: number): Parts[] {
  const { f } = frame
  const size = dtype.itemsize
  if (size === 1) return loadBytes(frame, dtype, access.pointer, count)
  const code = size >= 4 ? v128.load : dtype === int16 ? v128.load16x4S : v128.load16x4U
  return Array.from({ length: count }, (_, u) => {
    const parts = frame.vectors(size === 8 ? 2 : 1)
    parts.forEach((v, p) => {
      f.get(access.pointer)
        .mem(code, (access.offset ?? 0) + u * 4 * size + p * 16)
        .set(v)
    })
    return parts
  })
}

function loadBytes(frame: Frame, dtype: DType, pointer: number, count: number): Parts[] {
  const { f } = frame
  const signed = dtype === int8
  const step = Math.min(count, 4)
  const out: Parts[] = []
  for (let u = 0; u < count; u += step) {
    const bytes = frame.vector()
    f.get(pointer)
      .mem(step === 4 ? v128.load : step === 2 ? v128.load64Zero : v128.load32Zero, u * 4)
      .set(bytes)
    for (let half = 0; half < step; half += 2) {
      const low = signed ? i16x8.extendLowI8x16S : i16x8.extendLowI8x16U
      const high = signed ? i16x8.extendHighI8x16S : i16x8.extendHighI8x16U
      const words = frame.vector()
      f.get(bytes)
        .op(half ? high : low)
        .set(words)
      for (let quarter = half; quarter < Math.min(half + 2, step); quarter++) {
        const lowWord = signed ? i32x4.extendLowI16x8S : i32x4.extendLowI16x8U
        const highWord = signed ? i32x4.extendHighI16x8S : i32x4.extendHighI16x8U
        const v = frame.vector()
        f.get(words)
          .op(quarter & 1 ? highWord : lowWord)
          .set(v)
        out.push([v])
      }
    }
  }
  return out
}

function loadLanes(frame: Frame, dtype: DType, access: Access, count: number): Parts[] {
  const { f } = frame
  const cursor = f.local(I32)
  f.get(access.pointer)
  if (access.offset) f.i32(access.offset).op(i32.add)
  f.set(cursor)
  const advance = (): void => {
    f.get(cursor).get(access.stride).op(i32.add).set(cursor)
  }
  const size = dtype.itemsize
  return Array.from({ length: count }, (_, u) => {
    const parts = frame.vectors(size === 8 ? 2 : 1)
    const perPart = 4 / parts.length
    for (let lane = 0; lane < 4; lane++) {
      const v = parts[Math.floor(lane / perPart)]
      loadLane(frame, dtype, cursor, v, lane % perPart)
      if (u < count - 1 || lane < 3) advance()
    }
    return parts
  })
}

/** Loads one raw element into lane `lane` of `v`; lane 0 is loaded first and overwrites the others. */
export function loadLane(frame: Frame, dtype: DType, pointer: number, v: number, lane: number): void {
  loadLaneAt(frame, dtype, () => void frame.f.get(pointer), v, lane, 0)
}

/** As `loadLane`, from `offset` bytes after the address that `push` leaves on the stack. */
export function loadLaneAt(
  frame: Frame,
  dtype: DType,
  push: () => void,
  v: number,
  lane: number,
  offset: number,
): void {
  const { f } = frame
  const size = dtype.itemsize
  if (size < 4) {
    if (lane > 0) f.get(v)
    push()
    f.mem(scalarLoad(dtype), offset)
    if (lane > 0) f.lane(i32x4.replaceLane, lane)
    else f.op(i32x4.splat)
  } else {
    const wide = size === 8
    push()
    if (lane === 0) f.mem(wide ? v128.load64Splat : v128.load32Splat, offset)
    else f.get(v).memLane(wide ? v128.load64Lane : v128.load32Lane, lane, offset)
  }
  f.set(v)
}

/** A raw vector as values of the compute type. */
export function decode(frame: Frame, dtype: DType, raw: number): number {
  const { f } = frame
  if (dtype === bool) {
    const v = frame.vector()
    f.get(raw).get(frame.i32x4(0)).op(i32x4.ne).set(v)
    return v
  }
  if (dtype === bfloat16) {
    const v = frame.vector()
    f.get(raw).i32(16).op(i32x4.shl).set(v)
    return v
  }
  return dtype === float16 ? decodeHalf(frame, raw) : raw
}

/** Shifted into place, a half is its float times 2^-112, denormals included; only infinities and NaN need a new exponent. */
function decodeHalf(frame: Frame, raw: number): number {
  const { f } = frame
  const [magnitude, out] = frame.vectors(2)
  f.get(raw).get(frame.i32x4(0x7fff)).op(v128.and).i32(13).op(i32x4.shl)
  f.get(frame.f32x4(2 ** 112))
    .op(f32x4.mul)
    .set(magnitude)
  f.get(magnitude).get(frame.f32x4(65536)).op(f32x4.ge).get(frame.i32x4(0x7f800000)).op(v128.and)
  f.get(magnitude).op(v128.or)
  f.get(raw).get(frame.i32x4(0x8000)).op(v128.and).i32(16).op(i32x4.shl).op(v128.or).set(out)
  return out
}

/** Values of the compute type as raw elements: the low bits of each 32-bit lane for narrow dtypes. */
function encode(frame: Frame, dtype: DType, value: number): number {
  const { f } = frame
  if (dtype.itemsize >= 4) return value
  const v = frame.vector()
  if (dtype === bool) f.get(value).get(frame.i32x4(1)).op(v128.and).set(v)
  else if (dtype === int8 || dtype === uint8) f.get(value).get(frame.i32x4(0xff)).op(v128.and).set(v)
  else if (dtype === int16) f.get(value).get(frame.i32x4(0xffff)).op(v128.and).set(v)
  else if (dtype === bfloat16) encodeBfloat(frame, value, v)
  else encodeHalf(frame, value, v)
  return v
}

function encodeBfloat(frame: Frame, value: number, out: number): void {
  const { f } = frame
  f.get(frame.i32x4(0x7fc0))
  f.get(value).i32(16).op(i32x4.shrU).get(frame.i32x4(1)).op(v128.and)
  f.get(value).op(i32x4.add).get(frame.i32x4(0x7fff)).op(i32x4.add).i32(16).op(i32x4.shrU)
  f.get(value).get(value).op(f32x4.ne).op(v128.bitselect).set(out)
}

/** Round to nearest even by integer arithmetic, and by a float addition for denormals (F. Giesen's float_to_half_fast3_rtne). */
function encodeHalf(frame: Frame, value: number, out: number): void {
  const { f } = frame
  const [bits, odd, normal, denormal] = frame.vectors(4)
  f.get(value).get(frame.i32x4(0x7fffffff)).op(v128.and).set(bits)
  f.get(bits).i32(13).op(i32x4.shrU).get(frame.i32x4(1)).op(v128.and).set(odd)
  f.get(bits)
    .get(frame.i32x4(0xfff - (112 << 23)))
    .op(i32x4.add)
    .get(odd)
    .op(i32x4.add)
  f.i32(13).op(i32x4.shrU).set(normal)
  f.get(bits).get(frame.f32x4(0.5)).op(f32x4.add).get(frame.f32x4(0.5)).op(i32x4.sub).set(denormal)
  f.get(denormal)
    .get(normal)
    .get(bits)
    .get(frame.i32x4(113 << 23))
    .op(i32x4.ltS)
    .op(v128.bitselect)
    .set(normal)
  f.get(frame.i32x4(0x7c00))
    .get(normal)
    .get(bits)
    .get(frame.i32x4(143 << 23))
    .op(i32x4.geS)
    .op(v128.bitselect)
  f.get(value).i32(16).op(i32x4.shrU).get(frame.i32x4(0x8000)).op(v128.and).op(v128.or).set(normal)
  f.get(frame.i32x4(0x7e00)).get(normal).get(value).get(value).op(f32x4.ne).op(v128.bitselect).set(out)
}

/** Stores lane 0 of a value. */
export function storeElement(frame: Frame, dtype: DType, pointer: number, value: number): void {
  storeLane(frame, dtype, pointer, encode(frame, dtype, value), 0)
}

function storeLane(frame: Frame, dtype: DType, pointer: number, raw: number, lane: number): void {
  const code = { 1: v128.store8Lane, 2: v128.store16Lane, 4: v128.store32Lane, 8: v128.store64Lane }[dtype.itemsize]!
  const perLane = dtype.itemsize >= 4 ? 1 : 4 / dtype.itemsize
  frame.f
    .get(pointer)
    .get(raw)
    .memLane(code, lane * perLane)
}

/** Stores adjacent groups. */
export function storeGroups(frame: Frame, dtype: DType, access: Access, groups: readonly Parts[]): void {
  const raw = groups.map((parts) => parts.map((v) => encode(frame, dtype, v)))
  const size = dtype.itemsize
  if (access.kind !== 'c') storeLanes(frame, dtype, access, raw)
  else if (size < 4) storeNarrow(frame, size, access.pointer, raw)
  else storeWhole(frame, size, access.pointer, raw)
}

/** The highest address first, or V8 emits a 128-bit store besides the joined one. */
function storeWhole(frame: Frame, size: number, pointer: number, raw: readonly Parts[]): void {
  for (let u = raw.length - 1; u >= 0; u--) {
    for (let p = raw[u].length - 1; p >= 0; p--) {
      frame.f
        .get(pointer)
        .get(raw[u][p])
        .mem(v128.store, u * 4 * size + p * 16)
    }
  }
}

function storeLanes(frame: Frame, dtype: DType, access: Access, raw: readonly Parts[]): void {
  const { f } = frame
  const cursor = f.local(I32)
  f.get(access.pointer).set(cursor)
  raw.forEach((parts, u) => {
    const perPart = 4 / parts.length
    for (let lane = 0; lane < 4; lane++) {
      storeLane(frame, dtype, cursor, parts[Math.floor(lane / perPart)], lane % perPart)
      if (u < raw.length - 1 || lane < 3) f.get(cursor).get(access.stride).op(i32.add).set(cursor)
    }
  })
}

function storeNarrow(frame: Frame, size: number, pointer: number, raw: readonly Parts[]): void {
  const { f } = frame
  const pair = (u: number): void => {
    f.get(raw[u][0])
      .get(raw[Math.min(u + 1, raw.length - 1)][0])
      .op(i16x8.narrowI32x4U)
  }
  for (let u = 0; u < raw.length; ) {
    const rest = raw.length - u
    f.get(pointer)
    if (size === 2) {
      pair(u)
      if (rest >= 2) f.mem(v128.store, u * 8)
      else f.memLane(v128.store64Lane, 0, u * 8)
      u += 2
    } else {
      pair(u)
      if (rest >= 4) pair(u + 2)
      else f.get(frame.zero)
      f.op(i8x16.narrowI16x8U)
      if (rest >= 4) f.mem(v128.store, u * 4)
      else f.memLane(rest >= 2 ? v128.store64Lane : v128.store32Lane, 0, u * 4)
      u += rest >= 4 ? 4 : 2
    }
  }
}
