import CLinux

/// A slot in the map of a socket's listeners.
struct Slot: Hashable, Sendable {
    let bank: Bank
    let copy: UInt8

    init(_ bank: Bank, copy: UInt8) {
        self.bank = bank
        self.copy = copy
    }

    /// The last slot belongs to no copy: only probes reach the listener in it.
    static let probe = Slot(.second, copy: 255)

    var key: UInt32 { UInt32(bank.rawValue) * UInt32(Bank.size) + UInt32(copy) }
}

/// The map with the listeners of one socket of an app: both banks.
///
/// The kernel takes out a listener that is closed or shut down for reading.
struct SlotsMap: ~Copyable, Sendable {
    let map: BPFMap

    /// Creates an empty one. EPERM: CAP_BPF is needed.
    static func create() throws(Errno) -> SlotsMap { SlotsMap(map: try .create(.slots)) }

    /// Opens the one with this id. ENOENT: it is gone. ESTALE: another kind of map has the id now. EPERM:
    /// CAP_SYS_ADMIN is needed.
    static func open(id: UInt32) throws(Errno) -> SlotsMap { SlotsMap(map: try .open(.slots, id: id)) }

    borrowing func id() throws(Errno) -> UInt32 { try map.id() }

    /// Puts a listener into a slot, in place of the one that may be there. Doing so again changes nothing.
    ///
    /// EINVAL: a TCP socket is not listening yet, a UDP socket is not bound, or SO_REUSEPORT is missing. EBUSY: the
    /// socket is in another slot or map; a socket can be in one only.
    borrowing func place(_ listener: borrowing Descriptor, in slot: Slot) throws(Errno) {
        do throws(Errno) {
            try map.update(slot.key, to: UInt64(listener.number))
        } catch {
            guard error == .busy, try cookie(in: slot) == socketCookie(of: listener) else { throw error }
        }
    }

    /// The cookie of the listener in a slot, as in sock_diag(7); nil if the slot is empty.
    borrowing func cookie(in slot: Slot) throws(Errno) -> UInt64? { try map.lookup(slot.key) }

    /// Takes the listener out of its slot; false if the slot was empty. Connections in its queue stay there.
    @discardableResult
    borrowing func clear(_ slot: Slot) throws(Errno) -> Bool { try map.delete(slot.key) }
}
