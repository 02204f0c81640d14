import CLinux

/// The parts of an executable's headers that `checkAdoption` needs. The file may be anybody's, so offsets in it are not
/// trusted and little of it is read.
struct ExecutableImage {
    let isELF: Bool
    /// Word size, byte order and processor, as one number.
    let kind: UInt64
    /// PT_INTERP: the program that loads it and its libraries; empty for static programs.
    var loader = ByteString()
    /// Whether it has a section that only Go's linker makes.
    var isGo = false

    /// Files for another processor may have their fields elsewhere: for these only `kind` is right.
    init(_ file: borrowing Descriptor) {
        isELF = number(in: file, at: 0, 4) == UInt64(UInt32(bigEndian: 0x7F45_4C46))
        kind = number(in: file, at: 4, 2) << 16 | number(in: file, at: 18, 2)
        var header = number(in: file, at: 32, 8)
        var left = isELF ? min(number(in: file, at: 56, 2), 128) : 0
        while left > 0 {
            if number(in: file, at: header, 4) == UInt64(PT_INTERP) {
                let text = readPart(of: file, at: number(in: file, at: header &+ 8, 8), Int(PATH_MAX))
                loader = text.prefix(text.firstIndex(of: 0) ?? 0)
            }
            header = header &+ 56
            left -= 1
        }
        // e_shstrndx: the section with the names of all sections.
        let section = number(in: file, at: 40, 8) &+ number(in: file, at: 62, 2) * 64
        let names = readPart(of: file, at: number(in: file, at: section &+ 24, 8), 1 << 14)
        for name in names.split(on: 0) where name == ".go.buildinfo" || name == ".note.go.buildid" { isGo = true }
    }
}

/// Reads a little-endian number, because Swift supports no big-endian Linux; 0 beyond the end.
private func number(in file: borrowing Descriptor, at offset: UInt64, _ size: Int) -> UInt64 {
    var value: UInt64 = 0
    let count = pread(file.number, &value, size, off_t(truncatingIfNeeded: offset))
    return count == size ? value : 0
}

/// pread(2) of up to `size` bytes.
func readPart(of file: borrowing Descriptor, at offset: UInt64, _ size: Int) -> ByteString {
    var buffer = [UInt8](repeating: 0, count: size)
    let count = pread(file.number, &buffer, size, off_t(truncatingIfNeeded: offset))
    return ByteString(buffer).prefix(max(0, count))
}
