/// A copy's Node channel as the registry knows it. A class, for records of copies are copied in a hundred places.
final class ChannelRecord: Sendable, Equatable {
    /// Where the target has the end that is not its own.
    let number: Int32
    /// That socket, whatever the target may have put at the number since.
    let cookie: UInt64
    /// What is sent to stop it, one after the other: JSON, a line each.
    let stopMessages: ByteString
    /// Whether the copy was started to wait for the message to go on, as nodesockd has it, and has not got that.
    let waits: Bool

    init(number: Int32, cookie: UInt64, stopMessages: ByteString = "", waits: Bool = false) {
        self.number = number
        self.cookie = cookie
        self.stopMessages = stopMessages
        self.waits = waits
    }

    static func == (one: ChannelRecord, other: ChannelRecord) -> Bool {
        // A cookie is never used again, and all but this stays.
        one.cookie == other.cookie && one.waits == other.waits
    }
}

/// One by one.
func messages(_ lines: ByteString) -> [ByteString] { lines.isEmpty ? [] : lines.split(on: UInt8(ascii: "\n")) }
