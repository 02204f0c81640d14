import CLinux
import ReusePortKit

/// An answer, before it is encoded as HTTP.
struct Answer {
    let status: Int
    let body: ByteString

    func encoded(isLast: Bool, isHead: Bool) -> [UInt8] {
        var head: ByteString = "HTTP/1.1 \(status) \(reason)\r\nContent-Type: text/plain\r\n"
        head.append("Content-Length: \(body.count)\r\n")
        head.append(isLast ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n")
        if !isHead { head.append(body) }
        return head.bytes
    }

    private var reason: ByteString {
        switch status {
        case 200: return "OK"
        case 400: return "Bad Request"
        case 404: return "Not Found"
        case 503: return "Service Unavailable"
        default: return status < 400 ? "Fine" : "Trouble"
        }
    }
}

/// Describes this process in lines `name: value`, the body of most answers.
struct Portrait {
    /// The lines that do not change: label, pid and ids.
    private let fixed: ByteString
    private let inherited: ByteString

    init(label: ByteString, inherited: [Int32]) {
        var text: ByteString = "label: \(label)\npid: \(getpid())\nuid: \(getuid())\ngid: \(getgid())\ngroups:"
        for group in supplementaryGroups() { text.append(" \(group)") }
        text.append("\n")
        fixed = text
        self.inherited = "inherited: \(Portrait.list(inherited))\n"
    }

    /// All lines, including the descriptors that are open now.
    func full(listener: ByteString, state: ByteString) -> ByteString {
        "\(brief(listener: listener, state: state))\(inherited)descriptors: \(Portrait.list(openDescriptors()))\n"
    }

    /// All lines except the descriptors, which take longer than all the others.
    func brief(listener: ByteString, state: ByteString) -> ByteString {
        "\(fixed)listener: \(listener)\nstate: \(state)\n"
    }

    private static func list(_ numbers: [Int32]) -> ByteString {
        var text = ByteString()
        for number in numbers {
            if !text.isEmpty { text.append(" ") }
            text.append(decimal: number)
        }
        return text
    }
}
