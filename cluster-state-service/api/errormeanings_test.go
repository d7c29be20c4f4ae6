package api

// meanings explains each code of errorResponses.
var meanings = map[string]string{
	"UnsupportedFilter":       "The list does not have this filter.",
	"RepeatedFilter":          "A filter is given twice.",
	"InvalidStatus":           "The status is not a status of ECS.",
	"InvalidCluster":          "The filter is neither the name nor the ARN of a cluster.",
	"InvalidParameter":        "A parameter is invalid. `parameter` and `accepted` have the details.",
	"InvalidNextToken":        "The token does not belong to this list.",
	"InstanceNotFound":        "The container instance is unknown.",
	"TaskNotFound":            "The task is unknown.",
	"InvalidEntityVersion":    "`entityVersion` is not a number.",
	"EntityVersionOutOfRange": "etcd has compacted the version, or it is in the future.",
	"NotReconciled":           "No cluster has been reconciled with ECS yet.",
	"ClusterNotReconciled":    "The cluster has never been reconciled with ECS.",
	"TooManyWaiters":          "Too many requests wait for changes.",
	"StoreUnavailable":        "etcd does not respond.",
	"InvalidRefresh":          "The body does not describe a refresh.",
	"ForeignCluster":          "The cluster is of another account or region.",
	"ECSCredentialsExpired":   "AWS rejects the credentials or the clock of cluster-state-service.",
	"ECSAccessDenied": "The IAM policy of cluster-state-service, or of the source's role, does not allow the " +
		"action.",
	"SourceRoleNotAssumed": "The role of the source, or its policies, do not let cluster-state-service assume it.",
	"ECSThrottled":         "ECS throttles the calls of cluster-state-service.",
	"STSUnavailable":       "STS throttles, fails or does not respond, so the role of the source cannot be assumed.",
	"ECSUnavailable":       "ECS fails or does not respond.",
}
