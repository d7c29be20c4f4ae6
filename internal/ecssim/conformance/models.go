package conformance

// The tables hold what the SDK's types do not: it documents required members of answers, statuses and the errors of an
// operation only in text. Source: the API references of the services.

// taskStatuses are the last statuses of tasks and containers.
var taskStatuses = []string{
	"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED", "DELETED",
}

// statuses lists the values of members that are plain strings, by type and field.
var statuses = map[string][]string{
	"Task.LastStatus":          taskStatuses,
	"Task.DesiredStatus":       {"RUNNING", "STOPPED"},
	"Container.LastStatus":     {"PENDING", "RUNNING", "STOPPED"},
	"Cluster.Status":           {"ACTIVE", "PROVISIONING", "DEPROVISIONING", "FAILED", "INACTIVE"},
	"ContainerInstance.Status": {"REGISTERING", "REGISTRATION_FAILED", "ACTIVE", "DRAINING", "DEREGISTERING", "INACTIVE"},
	"Service.Status":           {"ACTIVE", "DRAINING", "INACTIVE"},
	"Deployment.Status":        {"PRIMARY", "ACTIVE", "INACTIVE"},
	"Resource.Type":            {"INTEGER", "DOUBLE", "LONG", "STRINGSET"},
}

// nonEmpty lists the types of lists that have at least one item.
var nonEmpty = []string{"MetricsName", "PutRecordsResultEntry"}

var ecsRequired = map[string][]string{
	"CapacityProviderStrategyItem": {"capacityProvider"}, "EnvironmentFile": {"value", "type"},
	"LogConfiguration": {"logDriver"}, "HealthCheck": {"command"}, "ResourceRequirement": {"value", "type"},
	"Attribute": {"name"}, "InferenceAccelerator": {"deviceName", "deviceType"}, "EphemeralStorage": {"sizeInGiB"},
	"AwsVpcConfiguration": {"subnets"}, "DeploymentController": {"type"},
	"AutoScalingGroupProvider": {"autoScalingGroupArn"},
}

var sqsRequired = map[string][]string{
	"SendMessageBatchOutput":      {"Successful", "Failed"},
	"SendMessageBatchResultEntry": {"Id", "MessageId", "MD5OfMessageBody"},
	"BatchResultErrorEntry":       {"Id", "SenderFault", "Code"}, "MessageAttributeValue": {"DataType"},
	"DeleteMessageBatchOutput": {"Successful", "Failed"}, "DeleteMessageBatchResultEntry": {"Id"},
	"ChangeMessageVisibilityBatchOutput":      {"Successful", "Failed"},
	"ChangeMessageVisibilityBatchResultEntry": {"Id"},
}

var kinesisRequired = map[string][]string{
	"DescribeStreamSummaryOutput": {"StreamDescriptionSummary"},
	"StreamDescriptionSummary": {"StreamName", "StreamARN", "StreamStatus", "RetentionPeriodHours",
		"StreamCreationTimestamp", "EnhancedMonitoring", "OpenShardCount"},
	"StreamModeDetails": {"StreamMode"}, "Shard": {"ShardId", "HashKeyRange", "SequenceNumberRange"},
	"HashKeyRange": {"StartingHashKey", "EndingHashKey"}, "SequenceNumberRange": {"StartingSequenceNumber"},
	"PutRecordOutput": {"ShardId", "SequenceNumber"}, "PutRecordsOutput": {"Records"}, "GetRecordsOutput": {"Records"},
	"Record":     {"SequenceNumber", "Data", "PartitionKey"},
	"ChildShard": {"ShardId", "ParentShards", "HashKeyRange"},
}

var stsRequired = map[string][]string{
	"Credentials":     {"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"},
	"AssumedRoleUser": {"AssumedRoleId", "Arn"},
}

// Errors of operations, beside those that every operation of the service has.
var (
	ofCluster = []string{"ClusterNotFoundException"}
	ecsErrors = map[string][]string{
		"CreateCluster": {"NamespaceNotFoundException"},
		"DeleteCluster": {
			"ClusterNotFoundException", "ClusterContainsContainerInstancesException", "ClusterContainsServicesException",
			"ClusterContainsCapacityProviderException", "ClusterContainsTasksException", "UpdateInProgressException",
		},
		"DescribeClusters": {}, "ListClusters": {},
		"RegisterTaskDefinition": {"LimitExceededException"}, "DescribeTaskDefinition": {}, "DeregisterTaskDefinition": {},
		"ListTaskDefinitions": {}, "ListTaskDefinitionFamilies": {},
		"ListContainerInstances": ofCluster, "DescribeContainerInstances": ofCluster,
		"UpdateContainerInstancesState": ofCluster, "RegisterContainerInstance": ofCluster,
		"DeregisterContainerInstance": ofCluster, "ListAttributes": ofCluster,
		"PutAttributes":    {"ClusterNotFoundException", "TargetNotFoundException", "AttributeLimitExceededException"},
		"DeleteAttributes": {"ClusterNotFoundException", "TargetNotFoundException"},
		"StartTask":        {"ClusterNotFoundException", "NamespaceNotFoundException", "UnsupportedFeatureException"},
		"RunTask": {"ClusterNotFoundException", "ConflictException", "PlatformUnknownException", "BlockedException",
			"PlatformTaskDefinitionIncompatibilityException", "UnsupportedFeatureException"},
		"StopTask": ofCluster, "DescribeTasks": ofCluster,
		"ListTasks": {"ClusterNotFoundException", "ServiceNotFoundException"},
		"CreateService": {"ClusterNotFoundException", "PlatformUnknownException", "NamespaceNotFoundException",
			"PlatformTaskDefinitionIncompatibilityException", "UnsupportedFeatureException"},
		"UpdateService": {"ClusterNotFoundException", "PlatformUnknownException", "NamespaceNotFoundException",
			"ServiceNotActiveException", "ServiceNotFoundException", "PlatformTaskDefinitionIncompatibilityException",
			"UnsupportedFeatureException"},
		"DeleteService": {"ClusterNotFoundException", "ServiceNotFoundException"}, "ListServices": ofCluster,
		"DescribeServices": ofCluster,
		"CreateCapacityProvider": {"ClusterNotFoundException", "LimitExceededException", "UpdateInProgressException",
			"UnsupportedFeatureException"},
		"DescribeCapacityProviders": {"ClusterNotFoundException", "UnsupportedFeatureException"},
		"UpdateCapacityProvider":    {"ClusterNotFoundException", "UnsupportedFeatureException"},
		"DeleteCapacityProvider":    {"ClusterNotFoundException", "UnsupportedFeatureException"},
		"PutClusterCapacityProviders": {"ClusterNotFoundException", "UpdateInProgressException",
			"ResourceInUseException"},
	}

	ofBatch = []string{"QueueDoesNotExist", "TooManyEntriesInBatchRequest", "EmptyBatchRequest",
		"BatchEntryIdsNotDistinct", "InvalidBatchEntryId"}
	sqsErrors = map[string][]string{
		"CreateQueue": {"QueueDeletedRecently", "QueueNameExists", "InvalidAttributeName", "InvalidAttributeValue"},
		"GetQueueUrl": {"QueueDoesNotExist"}, "ListQueues": {},
		"GetQueueAttributes": {"QueueDoesNotExist", "InvalidAttributeName"},
		"SetQueueAttributes": {"QueueDoesNotExist", "InvalidAttributeName", "InvalidAttributeValue", "OverLimit"},
		"PurgeQueue":         {"QueueDoesNotExist", "PurgeQueueInProgress"},
		"SendMessage":        {"QueueDoesNotExist", "InvalidMessageContents"},
		"SendMessageBatch":   append([]string{"BatchRequestTooLong"}, ofBatch...),
		"ReceiveMessage":     {"QueueDoesNotExist", "OverLimit"},
		"DeleteMessage":      {"QueueDoesNotExist", "InvalidIdFormat", "ReceiptHandleIsInvalid"},
		"DeleteMessageBatch": ofBatch, "ChangeMessageVisibilityBatch": ofBatch,
		"ChangeMessageVisibility": {"QueueDoesNotExist", "MessageNotInflight", "ReceiptHandleIsInvalid"},
	}

	ofRecords = []string{"ResourceNotFoundException", "ProvisionedThroughputExceededException",
		"InternalFailureException", "AccessDeniedException"}
	ofReshard = []string{"ResourceNotFoundException", "ResourceInUseException", "LimitExceededException",
		"AccessDeniedException"}
	kinesisErrors = map[string][]string{
		"CreateStream": {"ResourceInUseException", "LimitExceededException"}, "DeleteStream": ofReshard,
		"DescribeStreamSummary": {"ResourceNotFoundException", "LimitExceededException", "AccessDeniedException"},
		"ListShards":            append([]string{"ExpiredNextTokenException"}, ofReshard...),
		"SplitShard":            ofReshard, "MergeShards": ofReshard,
		"PutRecord": ofRecords, "PutRecords": ofRecords, "GetShardIterator": ofRecords,
		"GetRecords": append([]string{"ExpiredIteratorException"}, ofRecords...),
	}
)

// commonErrors are the errors that every service has. Source: "Common Error Types" in the API references.
var commonErrors = map[string]bool{
	"AccessDeniedException": true, "ExpiredTokenException": true, "IncompleteSignature": true, "InternalFailure": true,
	"InvalidClientTokenId": true, "InvalidSignatureException": true, "MissingAuthenticationToken": true,
	"OptInRequired": true, "RequestExpired": true, "RequestTimeTooSkewed": true, "SerializationException": true,
	"ServiceUnavailable": true, "ThrottlingException": true, "UnknownOperationException": true,
	"UnrecognizedClientException": true, "ValidationException": true, "RequestEntityTooLarge": true,
}
