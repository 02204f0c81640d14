import CLinux

/// The maps of a selection program of ours that is attached somewhere.
struct SteeringMaps: Equatable {
    var selector: UInt32
    var slots: UInt32
}

/// All programs of ours that the kernel has, by their names and maps: what is left to find when no file tells of them.
func steeringPrograms() -> [SteeringMaps] {
    var result: [SteeringMaps] = []
    var id: UInt32 = 0
    while clinux_bpf_next_program(id, &id) == 0 {
        let number = clinux_bpf_open_program(id)
        guard number >= 0 else { continue }
        let program = Descriptor(owning: number)
        var name = [CChar](repeating: 0, count: 17)
        var maps: [UInt32] = [0, 0]
        guard clinux_bpf_program_maps(program.number, &name, &maps, 2) == 2 else { continue }
        guard name.withUnsafeBufferPointer({ ByteString(cString: $0.baseAddress!) }) == TwoBankProgram.name else {
            continue
        }
        // Which is which is told by their shapes.
        for found in [SteeringMaps(selector: maps[0], slots: maps[1]), SteeringMaps(selector: maps[1], slots: maps[0])]
        {
            let fits = reason { () throws(Errno) in
                _ = try SelectorMap.open(id: found.selector).load()
                _ = try SlotsMap.open(id: found.slots).id()
            }
            if fits == nil, !result.contains(found) { result.append(found) }
        }
    }
    return result
}
