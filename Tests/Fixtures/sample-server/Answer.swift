import CLinux
import ReusePortKit

/// What is answered, before it is put into HTTP's words.
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

/// Who this process is, in the lines `name: value` that answers are made of.
struct Portrait {
    /// Label, pid and ids: they do not change.
    private let fixed: ByteString
    private let inherited: ByteString

    init(label: ByteString, inherited: [Int32]) {
        var text: ByteString = "label: \(label)\npid: \(getpid())\nuid: \(getuid())\ngid: \(getgid())\ngroups:"
        for group in supplementaryGroups() { text.append(" \(group)") }
        text.append("\n")
        fixed = text
        self.inherited = "inherited: \(Portrait.list(inherited))\n"
    }

    /// Everything, with the descriptors open at this moment.
    func full(listener: ByteString, state: ByteString) -> ByteString {
        "\(brief(listener: listener, state: state))\(inherited)descriptors: \(Portrait.list(openDescriptors()))\n"
    }

    /// Without looking at the descriptors, which costs more than all the rest.
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
