/// The options and the command of a deployed generation: enough to deploy it again, or to add copies to it.
final class Deployment {
    /// The generation's id.
    var generation: UInt64
    /// The generation's label, because the id may belong to another one by now; empty if it was not recorded.
    var label: ByteString
    /// The directory to which relative paths refer, without links: its copies run from there.
    var directory: ByteString
    /// The same as the shell named it, if that leads there through a link, like `current`, which may lead elsewhere
    /// when the app is deployed again.
    var named: ByteString?
    /// Where `--chdir` led then, if that is a path with links; nil otherwise.
    var chdir: ByteString?
    /// The environment in which it was deployed; with `--clear-env` the variables that are kept, by name alone if they
    /// were not set. Nil if an earlier version has not recorded it.
    var environment: [ByteString]?
    /// The options by name and value, without those that count only once. A value is empty if the option takes none.
    var settings: [Pair]
    var command: [ByteString]
    /// The text of the configuration file, so that copies that are added or started again are the same.
    var configuration: ByteString?
    /// With runit and s6: the folder in which each copy has one for its logs.
    var logFolder: ByteString?

    init(
        generation: UInt64, label: ByteString = "", directory: ByteString, named: ByteString? = nil,
        environment: [ByteString]? = nil, settings: [Pair] = [], command: [ByteString] = [],
        configuration: ByteString? = nil
    ) {
        self.generation = generation
        self.label = label
        self.directory = directory
        self.named = named
        self.environment = environment
        self.settings = settings
        self.command = command
        self.configuration = configuration
    }

    /// A record of its own with the same contents.
    var copied: Deployment {
        let result = Deployment(
            generation: generation, label: label, directory: directory, named: named, environment: environment,
            settings: settings, command: command, configuration: configuration)
        (result.logFolder, result.chdir) = (logFolder, chdir)
        return result
    }

    /// The options that say where its copies write.
    var output: [Pair] { settings.filter { $0.name == "--log" || $0.name == "--on" } }

    struct Pair: Sendable, Equatable {
        var name: ByteString
        var value: ByteString
    }
}

extension Deployment {
    /// The file's contents.
    var text: ByteString {
        var file = RegistryText()
        file.add("format", "1")
        file.add("generation", generation)
        file.add("label", label)
        file.add("directory", directory)
        file.add("named", named)
        file.add("chdir", chdir)
        file.add("environment", list: environment)
        for one in settings { file.add("setting", list: [one.name, one.value]) }
        for word in command { file.add("word", word) }
        file.add("configuration", configuration)
        file.add("logs", logFolder)
        return file.text
    }

    /// Reads the file; nil if it is damaged.
    convenience init?(text: ByteString) {
        guard let file = RegistryText(text), file.number("format") == 1, let generation = file.number("generation"),
            let directory = file.fields("directory")?.first
        else { return nil }
        self.init(generation: generation, directory: directory)
        label = file.fields("label")?.first ?? ""
        named = file.fields("named")?.first
        chdir = file.fields("chdir")?.first
        environment = file.fields("environment").map { $0.filter { !$0.isEmpty } }
        configuration = file.fields("configuration")?.first
        logFolder = file.fields("logs")?.first
        for line in file.lines {
            switch (line.key, line.fields.count) {
            case ("setting", 2): settings.append(Pair(name: line.fields[0], value: line.fields[1]))
            case ("word", 1): command.append(line.fields[0])
            default: break
            }
        }
    }
}
