/// The registry's record of a copy's Node channel. A class, so that copying a `CopyRecord` copies one pointer.
final class ChannelRecord: Sendable, Equatable {
    /// The target's number for the far end of the channel.
    let number: Int32
    /// The cookie of that socket: the target may have put another one at the number since.
    let cookie: UInt64
    /// The messages that stop it, in order: JSON, a line each.
    let stopMessages: ByteString
    /// The message for which the copy was started to wait before it serves, as nodesockd has it; empty once it has got
    /// that.
    let resumeMessage: ByteString

    var waits: Bool { !resumeMessage.isEmpty }

    init(number: Int32, cookie: UInt64, stopMessages: ByteString = "", resumeMessage: ByteString = "") {
        self.number = number
        self.cookie = cookie
        self.stopMessages = stopMessages
        self.resumeMessage = resumeMessage
    }

    static func == (one: ChannelRecord, other: ChannelRecord) -> Bool {
        // A cookie is never used again, and only `resumeMessage` changes.
        one.cookie == other.cookie && one.waits == other.waits
    }
}

extension ChannelRecord {
    /// As the registry keeps it; `init?(fields:)` reads it.
    var fields: [ByteString] {
        [ByteString(decimal: number), ByteString(decimal: cookie), stopMessages, resumeMessage]
    }

    convenience init?(fields: [ByteString]) {
        guard fields.count == 4, let number = fields[0].decimal, number < 1 << 20, let cookie = fields[1].decimal
        else { return nil }
        self.init(number: Int32(number), cookie: cookie, stopMessages: fields[2], resumeMessage: fields[3])
    }
}

/// Splits stop messages, which are a line each.
func messages(_ lines: ByteString) -> [ByteString] { lines.isEmpty ? [] : lines.split(on: UInt8(ascii: "\n")) }
