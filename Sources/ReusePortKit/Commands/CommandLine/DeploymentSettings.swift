// Deployments are recorded with the names of options, which the table of options explains.

extension Deployment {
    /// Records the options that count again when the deployment is repeated.
    func record(_ options: [Setting]) {
        settings = options.filter { $0.option.places.contains(.record) }
            .map { Pair(name: $0.option.text, value: $0.value) }
    }

    /// The options for copies that are added.
    func options() throws(Failure) -> Options {
        try Options(settings(with: []), command: command, isDeploy: true, configuration: configuration)
    }

    /// The supervisor that was given on the command line or in the configuration file.
    var supervision: SupervisionTarget? { (try? options())?.deploy.supervision }

    /// The recorded settings and the new ones. These take the places of those of the same option; of an option that may
    /// be given several times, of that with the same name: descriptors are numbered in the order of the sockets.
    func settings(with new: [Setting]) -> [Setting] {
        var new = new
        var result: [Setting] = []
        for one in settings {
            guard let option = Option.named(one.name) else { continue }
            let place = new.firstIndex { other in
                other.option.key == option.key && (!option.isRepeatable || subject(other.value) == subject(one.value))
            }
            if let place {
                result.append(new.remove(at: place))
            } else if !new.contains(where: { $0.option.key == option.rival }) {
                result.append(Setting(option: option, value: one.value, origin: .commandLine))
            }
        }
        return result + new
    }
}

/// The name in `NAME:ADDRESS`, `NAME:PATH` and `NAME=VALUE`; the whole value if there is none.
private func subject(_ value: ByteString) -> ByteString {
    let end = value.bytes.firstIndex { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "=") }
    return end.map { value.prefix($0) } ?? value
}
