package api

// meanings explains each code of errorResponses.
var meanings = map[string]string{
	"InvalidRequest": "A parameter or the body is invalid. `parameter` and `accepted`, or `failures`, have " +
		"the details.",
	"InvalidIdempotencyKey": "The header `Idempotency-Key` is invalid or repeated.",
	"IdempotencyKeyReused":  "The `Idempotency-Key` belongs to another request.",
	"ResponseNotStored": "Blox executed the request with this `Idempotency-Key`. The response was too large to " +
		"store.",
	"TooManyIdempotencyKeys":   "10,000 responses are stored.",
	"UnsupportedFilter":        "The list does not have this filter.",
	"RepeatedFilter":           "A filter is given twice.",
	"EntityVersionOutOfRange":  "Events after the version have been removed, or it is in the future.",
	"InvalidCluster":           "The filter is neither the name nor the ARN of a cluster.",
	"DeploymentTokenMissing":   "`deploymentToken` is missing.",
	"DeploymentTokenMalformed": "`deploymentToken` is not a lower-case UUID.",
	"DeploymentTokenOutdated":  "The environment has changed since the token was read.",
	"DeploymentTokenUsed":      "A deployment with this token exists.",
	"DeploymentInProgress":     "Another deployment is in progress.",
	"EnvironmentExists":        "An environment of this name exists.",
	"UpdateTokenOutdated":      "The environment has changed since the token was read.",
	"EnvironmentDeleting":      "The environment is being deleted.",
	"NoRollbackTarget":         "There is no earlier completed deployment.",
	"NoCanary":                 "The deployment does not wait for a promotion.",
	"NoTakeover":               "The environment takes over no service.",
	"ServiceUnsuitable":        "The service cannot be taken over. `detail` has the reason.",
	"RoleNotAssumed":           "Blox cannot assume the role of the environment, or `--allowed-role` does not allow it.",
	"RoleRequired": "The cluster is of another account than the credentials of daemon-scheduler, and the environment " +
		"has no role.",
	"PartitionMismatch": "The cluster is of another partition, such as `aws-cn`, than the credentials of " +
		"daemon-scheduler or its region.",
	"TaskDefinitionElsewhere": "The task definition is not of the account and region of the cluster.",
	"STSUnavailable":          "STS throttles or does not respond, so Blox cannot assume the role of the environment.",
	"EnvironmentNotFound":     "The environment does not exist.",
	"DeploymentNotFound":      "The deployment does not exist.",
	"RevisionNotFound":        "The revision does not exist.",
	"ServiceNotFound":         "The service does not exist.",
	"TargetUnusable":          "The task definition to deploy does not exist or is INACTIVE.",
	"ClusterNotFound":         "The cluster does not exist.",
	"ClusterInactive":         "The cluster is INACTIVE.",
	"TaskDefinitionNotFound":  "The task definition does not exist.",
	"TaskDefinitionInactive":  "The task definition is INACTIVE.",
	"ECSCredentialsExpired":   "AWS rejects the credentials or the clock of daemon-scheduler.",
	"ECSAccessDenied": "The IAM policy of daemon-scheduler, or of the environment's role, does not allow the " +
		"action.",
	"ECSThrottled":      "ECS throttles the calls of daemon-scheduler.",
	"ECSUnavailable":    "ECS fails or does not respond.",
	"ClusterStateStale": "No replica of cluster-state-service responds.",
	"StoreUnavailable":  "etcd does not respond.",
	"StoreOutOfSpace":   "etcd is out of space.",
}
