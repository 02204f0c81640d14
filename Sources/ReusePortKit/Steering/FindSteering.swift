import CLinux

/// A selection program found in the kernel, when the app's file is lost: its maps, and what its selector says.
struct FoundSteering {
    let selectorID: UInt32
    let slotsID: UInt32
    let selector: Selector

    /// Whether connections go to a bank. None do before the first cutover, unless servers outside any app were put into
    /// a bank.
    func isLive(_ bank: Bank) -> Bool { selector.liveCount > 0 && selector.liveBank == bank }

    /// The listeners in a bank, with their slots.
    @inline(never)
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

/// Finds all selection programs in the kernel that have our name and our maps.
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
        // The kernel lists the two maps in any order; their shapes tell them apart.
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
