import Foundation
import Testing

@testable import ReusePortKit

/// Runs a script under a real systemd, and returns the lines that it writes. It finds the launcher as `$launcher`, and in
/// the working directory what `files` names: files of the package, by their paths in it.
func underSystemd(_ script: String, files: [String] = []) throws -> [String] {
    try Tool.requireRoot()
    for tool in ["systemctl", "ip", "unshare", "curl", "ss"] { _ = try Tool.require(tool) }
    let box = Sandbox()
    let launcher = try box.launcher()
    for file in files {
        let content = try Data(contentsOf: URL(fileURLWithPath: "\(Tool.package)/\(file)"))
        box.write(box[(file as NSString).lastPathComponent], [UInt8](content), mode: 0o755)
    }
    let words = """
        #!/bin/sh
        launcher=\(launcher)
        # Waits until a command succeeds.
        until_ok() {
            for _ in $(seq 1000); do
                if "$@" >/dev/null 2>&1; then return 0; fi
                sleep 0.02
            done
            echo "not in time: $*"
        }
        # unit APP OPTIONS SETTING...: writes the template APP@.service, whose instances are generations.
        unit() {
            app=$1 options=$2
            shift 2
            {
                printf '%s\\n' '[Service]' Type=notify "ExecStart=$launcher --app $app --generation %i $options"
                printf '%s\\n' "ExecStopPost=-$launcher finish $app --generation %i" Restart=always RestartSec=1
                printf '%s\\n' "WorkingDirectory=$PWD" KillMode=mixed
                printf '%s\\n' SendSIGKILL=no TimeoutStartSec=20 "$@"
            } >"/etc/systemd/system/$app@.service"
            systemctl daemon-reload
        }
        \(script)
        """
    box.write("script", words, mode: 0o755)
    let boot = try box.start(program: "/bin/sh", [ByteString(try box.target("boot-systemd.sh")), ByteString(box.path)])
    let outcome = try boot.end()
    #expect(outcome.exit == 0, "\(outcome.output.text) \(outcome.errors)")
    return outcome.output.text.split(separator: "\n").map(String.init)
}
