/// A generation as steering sees it: its listeners, and the copies that hold each.
///
/// Copies may have a listener each for every socket, or share one. Slots and places are the listeners', so three copies
/// that share one take one slot. A class, because it is passed on and on.
final class GenerationListeners: Sendable {
    /// One listener.
    struct Row: Sendable {
        /// Its slot in the generation's bank: the lowest number of a copy that holds it.
        var slot: Int
        var listener: Listener
        /// The numbers of the copies that hold it.
        var copies: [Int]
        /// The process of the first of them.
        var process: ProcessIdentity?
        /// Whether one of these copies is ready or live, so that connections may go to the listener.
        var isServed: Bool
    }

    /// A copy and its listeners.
    struct Member: Sendable {
        var copy: Int
        /// Whether it is ready or live.
        var isServing: Bool
        var listeners: [Listener]
        var process: ProcessIdentity?
    }

    let label: ByteString
    let bank: Bank
    /// Nil if it is not known any more, which counts as `random`.
    let balance: Balance?
    let rows: [Row]
    /// How many slots of its bank are in use, or kept for copies that do not run now.
    let slots: Int

    /// `count` is the number of copies that the generation should have. Listeners of several copies with the same
    /// cookie become one row.
    init(label: ByteString, bank: Bank, balance: Balance?, copies count: Int, members: [Member]) {
        self.label = label
        self.bank = bank
        self.balance = balance
        var rows: [Row] = []
        var slots = 0
        var cookies: [UInt64] = []
        for member in members.ordered(by: { $0.copy < $1.copy }) {
            for listener in member.listeners {
                if let index = cookies.firstIndex(of: listener.identity.cookie) {
                    rows[index].copies.append(member.copy)
                    if member.isServing { rows[index].isServed = true }
                } else {
                    cookies.append(listener.identity.cookie)
                    rows.append(
                        Row(
                            slot: member.copy, listener: listener, copies: [member.copy],
                            process: member.process, isServed: member.isServing))
                }
            }
        }
        // A copy that has no listener now keeps its own slot for when it is back.
        var slotOf = [Int?](repeating: nil, count: min(count, Bank.copies))
        for row in rows where row.listener.isInGroup {
            for copy in row.copies where copy < slotOf.count { slotOf[copy] = max(slotOf[copy] ?? 0, row.slot) }
        }
        for copy in slotOf.indices { slots = max(slots, 1 + (slotOf[copy] ?? copy)) }
        (self.rows, self.slots) = (rows, slots)
    }

    /// The slot of one of the generation's listeners; nil for any other.
    func slot(of listener: Listener) -> Slot? {
        rows.first { $0.listener.identity.cookie == listener.identity.cookie }.map {
            Slot(bank, copy: UInt8(truncatingIfNeeded: $0.slot))
        }
    }

    /// How the listeners of a transport share connections.
    func balance(for transport: Transport) -> Balance { (balance ?? .random).forTransport(transport) }
}
