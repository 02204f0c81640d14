// Deployments are recorded with the names of options, which the table of options explains.

extension Deployment {
    /// Records the options that count again when the deployment is repeated.
    func record(_ options: [Setting]) {
        settings = options.filter { $0.option.places.contains(.record) }
            .map { Pair(name: $0.option.text, value: $0.value) }
    }

    /// The options for copies that are added: they start where the others did, even if a link leads elsewhere by now.
    func options() throws(Failure) -> Options {
        let options = try given()
        if let chdir { options.launch.chdir = chdir }
        return options
    }

    private func given() throws(Failure) -> Options {
        try Options(settings(with: []), command: command, isDeploy: true, configuration: configuration)
    }

    /// Where its copies start.
    var place: ByteString { (try? options())?.launch.chdir.map { resolve($0, against: directory) } ?? directory }

    /// The name of that place, if it leads there through a link, which may lead elsewhere by now.
    var placeName: ByteString? {
        if chdir == nil { return named == directory ? nil : named }
        return (try? given())?.launch.chdir.map { resolve($0, against: directory) }
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
