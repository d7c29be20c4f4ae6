package environment

import "errors"

// What can be wrong with a request, or with the world at that time.
var (
	ErrExists             = errors.New("environment exists")    // as Exists says
	ErrNotFound           = errors.New("environment not found") // as NotFound says
	ErrDeploymentNotFound = errors.New("deployment not found")  // as DeploymentNotFound says

	ErrTokenMissing   = errors.New("the deploymentToken is missing")
	ErrTokenMalformed = errors.New("the deploymentToken is not a lower-case uuid")
	ErrTokenOutdated  = errors.New("deployment token outdated") // with the token
	ErrTokenUsed      = errors.New("deployment token used")     // with the token
	ErrInProgress     = errors.New("deployment in progress")    // with the deployment's id

	ErrUpdateTokenOutdated = errors.New("token not the environment's")   // of an update, with the token
	ErrDeleting            = errors.New("environment is being deleted")  // with its name
	ErrNoRollbackTarget    = errors.New("no deployment to go back to")   // with the environment's name
	ErrNoCanary            = errors.New("no canary waits for promotion") // with the deployment's id

	ErrClusterNotFound        = errors.New("cluster not found")
	ErrClusterInactive        = errors.New("cluster inactive")
	ErrTaskDefinitionNotFound = errors.New("task definition not found")
	ErrTaskDefinitionInactive = errors.New("task definition inactive")
	ErrECSUnavailable         = errors.New("ECS unavailable") // throttled, or out of order; worth another try

	ErrStoreUnavailable  = errors.New("the store does not answer")
	ErrStoreOutOfSpace   = errors.New("the store has no room left") // reads go on
	ErrClusterStateStale = errors.New("the copy of the clusters is not current")

	// ErrConflict means that a record was changed by someone else since it was read: read it again.
	ErrConflict = errors.New("record changed meanwhile")
	// ErrNotLeader means that another replica leads.
	ErrNotLeader = errors.New("no longer the leader")
)

// domainError is an error of a kind, in v0.3's words, which name what it is about.
type domainError struct {
	kind error
	text string
}

func (p *domainError) Error() string        { return p.text }
func (p *domainError) Is(target error) bool { return target == p.kind }

// Exists is the ErrExists of the named environment.
func Exists(name string) error {
	return &domainError{ErrExists, "Error saving environment " + name + " to store: An environment with name " + name + " already exists"}
}

// NotFound is the ErrNotFound of the named environment.
func NotFound(name string) error {
	return &domainError{ErrNotFound, "Environment " + name + " does not exist"}
}

// DeploymentNotFound is the ErrDeploymentNotFound of the id in the named environment.
func DeploymentNotFound(id, name string) error {
	return &domainError{ErrDeploymentNotFound, "Deployment " + id + " does not exist for environment " + name}
}

func tokenOutdated(token string) error {
	return &domainError{ErrTokenOutdated, "Token '" + token + "' is outdated"}
}

func tokenUsed(token string) error {
	return &domainError{ErrTokenUsed, "Deployment with token '" + token + "' already exists"}
}

func inProgress(id string) error {
	return &domainError{ErrInProgress, "There is already a deployment in progress: " + id}
}

func updateTokenOutdated(token string) error {
	return &domainError{ErrUpdateTokenOutdated, "Token '" + token + "' is outdated"}
}

func deleting(name string) error {
	return &domainError{ErrDeleting, "Environment " + name + " is being deleted"}
}

func noRollbackTarget(name string) error {
	return &domainError{ErrNoRollbackTarget, "Environment " + name + " has no earlier completed deployment to go back to"}
}

func noCanary(id string) error {
	return &domainError{ErrNoCanary, "Deployment " + id + " has no canary that waits for promotion"}
}
