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
	"ECSUnavailable":          "ECS throttles, fails or does not respond.",
}
