package api

import (
	"errors"
	"net/http"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/httpserver"
)

// Errors of a request's form.
var (
	errInvalid     = errors.New("invalid request") // every *invalid is one
	errUnsupported = errors.New("unsupported filter")
	errRepeated    = errors.New("repeated filter")
	errCluster     = errors.New("invalid cluster")
	errStopType    = errors.New("invalid type of stop")
	errHeartbeat   = errors.New("invalid heartbeat")
	errLimit       = errors.New("invalid limit")
	errEnvironment = errors.New("invalid environment")
)

// invalid is an error of a request. Its text is sent to the client.
type invalid struct{ text string }

func (i *invalid) Error() string        { return i.text }
func (i *invalid) Is(target error) bool { return target == errInvalid }

// unexpected is the text of every error that is not in answers.
const unexpected = "Server Error"

// answers maps errors to responses; clients see nothing else of an error. The texts are v0.3's. An answer without a
// text sends the error's own, which names the offending value.
var answers = []httpserver.ErrorResponse{
	{Err: errInvalid, Status: http.StatusBadRequest},
	{Err: errUnsupported, Status: http.StatusBadRequest, Text: "At least one of the filters provided is not supported"},
	{Err: errRepeated, Status: http.StatusBadRequest, Text: "At least one of the filters provided is specified multiple times"},
	{Err: errCluster, Status: http.StatusBadRequest, Text: "Invalid cluster ARN or name"},

	{Err: errStopType, Status: http.StatusBadRequest, Text: "type is ROLLBACK or ABORT"},
	{Err: errHeartbeat, Status: http.StatusBadRequest, Text: "Invalid heartbeat"},
	{Err: errLimit, Status: http.StatusBadRequest, Text: "Invalid limit"},
	{Err: errEnvironment, Status: http.StatusBadRequest, Text: "Invalid environment name"},

	{Err: environment.ErrTokenMissing, Status: http.StatusBadRequest},
	{Err: environment.ErrTokenMalformed, Status: http.StatusBadRequest},
	{Err: environment.ErrTokenOutdated, Status: http.StatusBadRequest},
	{Err: environment.ErrTokenUsed, Status: http.StatusBadRequest},
	{Err: environment.ErrInProgress, Status: http.StatusBadRequest},
	{Err: environment.ErrExists, Status: http.StatusBadRequest},

	{Err: environment.ErrUpdateTokenOutdated, Status: http.StatusConflict},
	{Err: environment.ErrDeleting, Status: http.StatusConflict},
	{Err: environment.ErrNoRollbackTarget, Status: http.StatusConflict},
	{Err: environment.ErrNoCanary, Status: http.StatusConflict},

	{Err: environment.ErrNotFound, Status: http.StatusNotFound},
	{Err: environment.ErrDeploymentNotFound, Status: http.StatusNotFound},
	{Err: environment.ErrClusterNotFound, Status: http.StatusNotFound, Text: "Cluster does not exist"},
	{Err: environment.ErrClusterInactive, Status: http.StatusNotFound, Text: "Cluster is inactive"},
	{Err: environment.ErrTaskDefinitionNotFound, Status: http.StatusNotFound, Text: "TaskDefinition does not exist"},
	{Err: environment.ErrTaskDefinitionInactive, Status: http.StatusNotFound, Text: "TaskDefinition is inactive"},

	{Err: environment.ErrECSUnavailable, Status: http.StatusServiceUnavailable, Text: "ECS does not answer"},
	{Err: environment.ErrClusterStateStale, Status: http.StatusServiceUnavailable, Text: "The copy of the clusters is not current"},
	{Err: environment.ErrStoreUnavailable, Status: http.StatusServiceUnavailable, Text: "etcd does not answer"},
	{Err: environment.ErrStoreOutOfSpace, Status: http.StatusServiceUnavailable, Text: "etcd is out of space"},
}
