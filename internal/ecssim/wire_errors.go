package ecssim

import "net/http"

var (
	errUnavailable = &apiError{code: "ServiceUnavailable", query: "ServiceUnavailable",
		status:  http.StatusServiceUnavailable,
		message: "The service is temporarily unavailable."}
	errServer = &apiError{code: "ServerException", status: http.StatusInternalServerError,
		message: "Service Unavailable. Please try again later."}
)

// kinesisData lists the actions on a stream's records. They have their own limits, and errors for those.
var kinesisData = map[string]bool{"PutRecord": true, "PutRecords": true, "GetShardIterator": true, "GetRecords": true}

// errThrottled returns the error with which a service refuses a call that exceeds its rate.
func errThrottled(service, action string) error {
	code, message := "ThrottlingException", "Rate exceeded"
	switch {
	case service == serviceSQS:
		code = "RequestThrottled"
	case service == serviceKinesis && kinesisData[action]:
		code, message = "ProvisionedThroughputExceededException", "Rate exceeded for shard"
	case service == serviceKinesis:
		code = "LimitExceededException"
	case service == serviceCloudWatch || service == serviceSTS:
		code = "Throttling"
	}
	return &apiError{code: code, query: code, message: message}
}

// errInternal returns the error of a service that failed. It is the one of the service's API, or InternalFailure, which
// "Common Error Types" in the API reference of each service lists.
func errInternal(service, action string) error {
	code, query := "InternalFailure", "InternalFailure"
	switch {
	case service == serviceECS:
		return errServer
	case service == serviceKinesis && kinesisData[action]:
		code = "InternalFailureException"
	case service == serviceCloudWatch:
		code, query = "InternalServiceFault", "InternalServiceError"
	}
	return &apiError{code: code, query: query, status: http.StatusInternalServerError,
		message: "The service failed because of an internal error."}
}
