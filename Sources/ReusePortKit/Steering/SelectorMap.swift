import CLinux

/// The map with an app's selector: one for all its sockets.
struct SelectorMap: ~Copyable, Sendable {
    let map: BPFMap

    /// Creates one with the word 0, which lets the kernel choose. EPERM: CAP_BPF is needed.
    static func create() throws(Errno) -> SelectorMap { SelectorMap(map: try .create(.selector)) }

    /// Opens the one with this id. ENOENT: it is gone. ESTALE: another kind of map has the id now. EPERM:
    /// CAP_SYS_ADMIN is needed.
    static func open(id: UInt32) throws(Errno) -> SelectorMap {
        SelectorMap(map: try .open(.selector, id: id))
    }

    borrowing func id() throws(Errno) -> UInt32 { try map.id() }

    /// Switches every socket of the app from its next connection on, by one store of 8 bytes.
    borrowing func store(_ selector: Selector) throws(Errno) {
        try withWord { clinux_store_u64($0, selector.word) }
    }

    borrowing func load() throws(Errno) -> Selector {
        Selector(word: try withWord { clinux_load_u64($0) })
    }

    /// mmap(2) of the word.
    private borrowing func withWord<Result>(_ body: (UnsafeMutableRawPointer) -> Result) throws(Errno) -> Result {
        let length = Int(MapShape.valueSize)
        let address = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, map.descriptor.number, 0)
        // MAP_FAILED is a cast in C, which Swift does not import.
        guard let address, address != UnsafeMutableRawPointer(bitPattern: -1) else { throw .current }
        defer { munmap(address, length) }
        return body(address)
    }
}
