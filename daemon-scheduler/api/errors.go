package api

import (
	"errors"
	"net/http"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/httpserver"
)

// What can be wrong with a request's form.
var (
	errInvalid     = errors.New("invalid body") // every *invalid is one
	errUnsupported = errors.New("unsupported filter")
	errRepeated    = errors.New("repeated filter")
	errCluster     = errors.New("invalid cluster")
	errFlag        = errors.New("neither true nor false")
	errStopType    = errors.New("invalid type of stop")
	errHeartbeat   = errors.New("invalid heartbeat")
	errLimit       = errors.New("invalid limit")
	errEnvironment = errors.New("invalid environment")
)

// invalid is an error of a request's body, in words for its sender.
type invalid struct{ text string }

func (i *invalid) Error() string        { return i.text }
func (i *invalid) Is(target error) bool { return target == errInvalid }

// unexpected is what clients are told of every error that is not in answers.
const unexpected = "Server Error"

// answers is all that a client is ever told of errors; the texts are v0.3's. Those without a text bring their own,
// as they name what they are about.
var answers = []httpserver.ErrorResponse{
	{Err: errInvalid, Status: http.StatusBadRequest},
	{Err: errUnsupported, Status: http.StatusBadRequest, Text: "At least one of the filters provided is not supported"},
	{Err: errRepeated, Status: http.StatusBadRequest, Text: "At least one of the filters provided is specified multiple times"},
	{Err: errCluster, Status: http.StatusBadRequest, Text: "Invalid cluster ARN or name"},

	{Err: errFlag, Status: http.StatusBadRequest, Text: "dryRun, stopTasks and deleted are true or false"},
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
