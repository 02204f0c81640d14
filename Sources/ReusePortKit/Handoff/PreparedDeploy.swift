/// Copies that are about to be started together: looked up and checked, with nothing changed yet. A class, because it is
/// too large to be copied.
final class PreparedDeploy {
    /// Which generation of which app they make or join, and how it takes over.
    let request: AppRequest
    /// Their numbers in the generation.
    let numbers: [Int]
    /// The supervisor that starts them, if any, and where they write to.
    let options: DeployOptions
    /// The steps of the launcher in each copy before it becomes the program.
    let plan: Plan
    /// The record from which the same can be deployed again.
    let deployment: Deployment

    init(request: AppRequest, numbers: [Int], options: DeployOptions, plan: Plan, deployment: Deployment) {
        (self.request, self.numbers, self.options) = (request, numbers, options)
        (self.plan, self.deployment) = (plan, deployment)
    }
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
        let deployment = copied
        (deployment.generation, deployment.label) = (generation.id, generation.label)
        return deployment
    }
}
