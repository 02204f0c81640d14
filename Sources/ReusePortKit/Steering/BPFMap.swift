import CLinux

/// The shape of one of our maps. A map opened by its id must have it to be taken for ours.
struct MapShape: Sendable {
    /// `enum bpf_map_type`
    let type: UInt32
    let entries: UInt32
    let flags: UInt32
    let name: ByteString

    /// One word that can be mapped into memory (BPF_F_MMAPABLE, Linux 5.5), so that one store of the processor changes
    /// it; BPF_MAP_UPDATE_ELEM copies by memcpy, which may store it in parts.
    static let selector = MapShape(
        type: BPF_MAP_TYPE_ARRAY.rawValue, entries: 1, flags: UInt32(1) << 10, name: "rpx_selector")

    /// Both banks of one socket's listeners.
    static let slots = MapShape(
        type: BPF_MAP_TYPE_REUSEPORT_SOCKARRAY.rawValue, entries: UInt32(2 * Bank.size), flags: 0, name: "rpx_slots")

    static let keySize: UInt32 = 4
    static let valueSize: UInt32 = 8
}

/// A map in the kernel that selection programs read. It exists as long as a program or a descriptor refers to it.
struct BPFMap: ~Copyable, Sendable {
    let descriptor: Descriptor

    /// bpf(2) with BPF_MAP_CREATE. EPERM: CAP_BPF is needed.
    static func create(_ shape: MapShape) throws(Errno) -> BPFMap {
        let number = try shape.name.withCString { name throws(Errno) in
            try checked(
                clinux_bpf_create_map(
                    shape.type, MapShape.keySize, MapShape.valueSize, shape.entries, shape.flags, name))
        }
        return BPFMap(descriptor: Descriptor(owning: number))
    }

    /// bpf(2) with BPF_MAP_GET_FD_BY_ID.
    ///
    /// ENOENT: there is no such map. ESTALE: the map with this id has another shape, because the kernel reuses ids
    /// after 2³¹ maps, or after a restart. EPERM: CAP_SYS_ADMIN is needed.
    static func open(_ shape: MapShape, id: UInt32) throws(Errno) -> BPFMap {
        let map = BPFMap(descriptor: Descriptor(owning: try checked(clinux_bpf_open_map(id))))
        var info = try map.info()
        let isNamed = withUnsafeBytes(of: &info.name) { name in
            ByteString(Array(name.prefix { $0 != 0 })) == shape.name
        }
        guard info.type == shape.type, info.key_size == MapShape.keySize, info.value_size == MapShape.valueSize,
            info.max_entries == shape.entries, info.map_flags == shape.flags, isNamed
        else { throw Errno(rawValue: ESTALE) }
        return map
    }

    /// The kernel's id of the map, for `open`.
    borrowing func id() throws(Errno) -> UInt32 { try info().id }

    /// BPF_MAP_UPDATE_ELEM, whether or not there was a value before.
    borrowing func update(_ key: UInt32, to value: UInt64) throws(Errno) {
        var value = value
        try checked(clinux_bpf_element(Int32(BPF_MAP_UPDATE_ELEM.rawValue), descriptor.number, key, &value))
    }

    /// BPF_MAP_LOOKUP_ELEM; nil if there is no value.
    borrowing func lookup(_ key: UInt32) throws(Errno) -> UInt64? {
        var value: UInt64 = 0
        do throws(Errno) {
            try checked(clinux_bpf_element(Int32(BPF_MAP_LOOKUP_ELEM.rawValue), descriptor.number, key, &value))
        } catch {
            if error == .noEntry { return nil }
            throw error
        }
        return value
    }

    /// BPF_MAP_DELETE_ELEM; false if there was no value.
    @discardableResult
    borrowing func delete(_ key: UInt32) throws(Errno) -> Bool {
        do throws(Errno) {
            try checked(clinux_bpf_element(Int32(BPF_MAP_DELETE_ELEM.rawValue), descriptor.number, key, nil))
        } catch {
            if error == .noEntry { return false }
            throw error
        }
        return true
    }

    @inline(never)
    private borrowing func info() throws(Errno) -> bpf_map_info {
        var info = bpf_map_info()
        try checked(clinux_bpf_info(descriptor.number, &info, UInt32(MemoryLayout<bpf_map_info>.size)))
        return info
    }
}
