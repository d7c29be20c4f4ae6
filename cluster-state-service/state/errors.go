package state

import (
	"errors"

	"github.com/blox/blox/internal/filter"
)

// The errors of queries. api/errors.go maps them to HTTP responses.
var (
	ErrTaskNotFound      = errors.New("task not found")
	ErrInstanceNotFound  = errors.New("instance not found")
	ErrUnsupportedFilter = errors.New("unsupported filter")
	ErrRepeatedFilter    = errors.New("repeated filter")
	ErrInvalidStatus     = errors.New("invalid status")
	// ErrInvalidParameter matches every ParameterError.
	ErrInvalidParameter     = filter.ErrInvalid
	ErrInvalidCluster       = errors.New("invalid cluster")
	ErrInvalidNextToken     = errors.New("invalid next token")
	ErrInvalidVersion       = errors.New("invalid entity version")
	ErrVersionOutOfRange    = errors.New("entity version compacted or in the future")
	ErrNotReconciled        = errors.New("not yet reconciled with ECS")
	ErrClusterNotReconciled = errors.New("cluster not yet reconciled with ECS")
	ErrTooManyWaiters       = errors.New("too many requests wait for changes")
	ErrStoreUnavailable     = errors.New("etcd does not respond")
	ErrInvalidRefresh       = errors.New("invalid refresh")
)

// ParameterError reports an invalid query parameter that v0.3 did not have. Its text is for clients.
type ParameterError = filter.ParameterError
