/// Copies that are about to be started together: looked up and checked, with nothing changed yet.
struct PreparedDeploy {
    /// Which generation of which app they make or join, and how it takes over.
    var request: AppRequest
    /// Their numbers in the generation.
    var numbers: [Int]
    /// Who starts them, and where they write to.
    var options: DeployOptions
    /// What the launcher does in each of them before it becomes the program.
    var plan: Plan
    /// What the registry remembers, to deploy the same again.
    var deployment: Deployment
}

extension PreparedDeploy {
    /// Starts the copies, and returns when they serve and the generation that they replace is retired.
    ///
    /// `holdsTurn`: the caller has `deploy.lock` already. Only services need it: until their copies come, nothing in
    /// the registry tells other commands of the new generation.
    func start(holdsTurn: Bool = false, _ report: Reporter) throws(Failure) {
        if let target = options.supervision {
            try deployServices(self, on: target, holdsTurn: holdsTurn, report)
        } else {
            try deployCopies(self, report)
        }
    }
}

extension Deployment {
    /// Adds the generation's id and label, which are not known before its copies are registered.
    func of(_ generation: GenerationRecord) -> Deployment {
        var deployment = self
        (deployment.generation, deployment.label) = (generation.id, generation.label)
        return deployment
    }
}
