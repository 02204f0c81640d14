import CLinux

/// A selection program that the kernel still has, when no file tells of it: its maps, and which bank is live.
struct FoundSteering {
    let selectorID: UInt32
    let slotsID: UInt32
    let selector: Selector

    /// Nothing gets connections before the first cutover; what stands in the other bank can be a server that was never
    /// ours.
    func isLive(_ bank: Bank) -> Bool { selector.liveCount > 0 && selector.liveBank == bank }

    /// Which listeners stand in a bank, by their slots.
    func members(of bank: Bank) -> [(slot: Int, cookie: UInt64)] {
        guard let map = try? SlotsMap.open(id: slotsID) else { return [] }
        var members: [(slot: Int, cookie: UInt64)] = []
        for slot in 0..<Bank.copies {
            if let cookie = (try? map.cookie(in: Slot(bank, copy: UInt8(slot)))) ?? nil {
                members.append((slot, cookie))
            }
        }
        return members
    }
}

/// All programs of ours that the kernel has, by their names and maps.
func findSteering() -> [FoundSteering] {
    var result: [FoundSteering] = []
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
        for (selectorID, slotsID) in [(maps[0], maps[1]), (maps[1], maps[0])] {
            guard let selector = try? SelectorMap.open(id: selectorID).load(),
                (try? SlotsMap.open(id: slotsID).id()) != nil,
                !result.contains(where: { $0.selectorID == selectorID && $0.slotsID == slotsID })
            else { continue }
            result.append(FoundSteering(selectorID: selectorID, slotsID: slotsID, selector: selector))
        }
    }
    return result
}
