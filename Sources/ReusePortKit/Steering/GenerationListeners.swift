/// A generation as steering knows it: listeners, and which copies hold them.
///
/// Copies may have a listener each for every socket, or share one. Slots and places are counted by listeners, so that
/// three copies with one listener take one slot.
struct GenerationListeners: Sendable {
    /// One listener.
    struct Row: Sendable {
        /// Its number among the listeners of its socket, and so its slot in the generation's bank.
        var slot: Int
        var listener: Listener
        /// The numbers of the copies that hold it.
        var copies: [Int]
        /// Whether one of them is ready or live, so that connections may be directed to it.
        var isServed: Bool
    }

    /// A copy and what it listens on.
    struct Member: Sendable {
        var copy: Int
        /// Whether it is ready or live.
        var isServing: Bool
        var listeners: [Listener]
    }

    var label: ByteString
    var bank: Bank
    /// Nil: not known any more, which is `random`.
    var balance: Balance?
    private(set) var rows: [Row] = []
    /// How many slots of its bank are in use, or kept for copies that are not there now.
    private(set) var slots = 0

    /// `count` is how many copies the generation is to have. Lines of several copies with one cookie are one listener,
    /// in the slot of the lowest of their numbers.
    init(label: ByteString, bank: Bank, balance: Balance?, copies count: Int, members: [Member]) {
        self.label = label
        self.bank = bank
        self.balance = balance
        var cookies: [UInt64] = []
        for member in members.ordered(by: { $0.copy < $1.copy }) {
            for listener in member.listeners {
                if let index = cookies.firstIndex(of: listener.identity.cookie) {
                    rows[index].copies.append(member.copy)
                    if member.isServing { rows[index].isServed = true }
                } else {
                    cookies.append(listener.identity.cookie)
                    rows.append(
                        Row(slot: member.copy, listener: listener, copies: [member.copy], isServed: member.isServing))
                }
            }
        }
        // A copy without a listener keeps a slot of its own, in which it is expected.
        var slotOf = [Int?](repeating: nil, count: min(count, Bank.copies))
        for row in rows where row.listener.isInGroup {
            for copy in row.copies where copy < slotOf.count { slotOf[copy] = max(slotOf[copy] ?? 0, row.slot) }
        }
        for copy in slotOf.indices { slots = max(slots, 1 + (slotOf[copy] ?? copy)) }
    }

    /// Where a listener of the generation belongs; nil for one that it does not have.
    func slot(of listener: Listener) -> Slot? {
        rows.first { $0.listener.identity.cookie == listener.identity.cookie }.map {
            Slot(bank, copy: UInt8(truncatingIfNeeded: $0.slot))
        }
    }

    /// How connections of a transport are shared among its listeners.
    func balance(for transport: Transport) -> Balance { (balance ?? .random).forTransport(transport) }
}
