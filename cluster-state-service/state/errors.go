package state

import "errors"

// The errors of queries. api/errors.go maps them to HTTP responses.
var (
	ErrTaskNotFound          = errors.New("task not found")
	ErrInstanceNotFound      = errors.New("instance not found")
	ErrUnsupportedFilter     = errors.New("unsupported filter")
	ErrRepeatedFilter        = errors.New("repeated filter")
	ErrInvalidStatus         = errors.New("invalid status")
	ErrInvalidCluster        = errors.New("invalid cluster")
	ErrInvalidDesiredStatus  = errors.New("invalid desired status")
	ErrInvalidLaunchType     = errors.New("invalid launch type")
	ErrInvalidAttribute      = errors.New("invalid attribute")
	ErrInvalidAgentConnected = errors.New("invalid agentConnected")
	ErrInvalidLimit          = errors.New("invalid limit")
	ErrInvalidNextToken      = errors.New("invalid next token")
	ErrInvalidVersion        = errors.New("invalid entity version")
	ErrVersionOutOfRange     = errors.New("entity version compacted or in the future")
	ErrInvalidDeleted        = errors.New("invalid deleted")
	ErrInvalidHeartbeat      = errors.New("invalid heartbeat")
	ErrNotReconciled         = errors.New("not yet reconciled with ECS")
	ErrStoreUnavailable      = errors.New("etcd does not respond")
)
