package environment

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of services that are to be taken over.
var (
	ErrServiceNotFound   = errors.New("service not found")            // see ServiceNotFound
	ErrServiceUnsuitable = errors.New("service cannot be taken over") // see Service.CheckTakeover
	ErrNoTakeover        = errors.New("no takeover that can end")     // see Environment.CancelTakeover
)

// Service has the parts of an ECS service that its takeover needs.
type Service struct {
	ARN, Name      string
	Status         string // ACTIVE, DRAINING, INACTIVE
	Daemon         bool   // its scheduling strategy is DAEMON
	Controller     string // ECS, CODE_DEPLOY or EXTERNAL
	TaskDefinition string // ARN
	Constraints    []PlacementConstraint
	Network        *AwsVpcConfiguration // nil unless awsvpc
	Balanced       bool                 // it has load balancers, service registries or Service Connect
}

// PlacementConstraint is a task placement constraint of a service.
type PlacementConstraint struct {
	Type       string // memberOf or distinctInstance
	Expression string `json:",omitempty"`
}

const (
	constraintMemberOf = "memberOf"
	// maxConstraints is ECS's limit. It includes those of the task definition.
	maxConstraints = 10
)

// ServiceNotFound returns the ErrServiceNotFound of a service, as given.
func ServiceNotFound(given string) error {
	return &domainError{ErrServiceNotFound, fmt.Sprintf("Service %.300q does not exist", given)}
}

// CheckTakeover returns the ErrServiceUnsuitable that says why no environment can replace the service; nil if one can.
func (s Service) CheckTakeover() error {
	problem := ""
	switch {
	case s.Status != "ACTIVE":
		problem = "is " + s.Status + "; it must be ACTIVE"
	case s.Controller != "" && s.Controller != "ECS":
		problem = "has the deployment controller " + s.Controller + "; it must be ECS"
	case !s.Daemon:
		problem = "is a REPLICA service; its scheduling strategy must be DAEMON"
	case s.Balanced:
		problem = "has load balancers, service registries or Service Connect, which environments lack"
	case len(s.Constraints) >= maxConstraints:
		problem = "has 10 placement constraints; the takeover needs one more, and ECS allows 10"
	}
	if problem == "" {
		return nil
	}
	return &domainError{ErrServiceUnsuitable, fmt.Sprintf("Service %.300s %s", s.Name, problem)}
}

// Query returns the query that selects the instances of the service: all of its constraints.
func (s Service) Query() string {
	var expressions []string
	for _, c := range s.Constraints {
		if c.Type == constraintMemberOf {
			expressions = append(expressions, c.Expression)
		}
	}
	if len(expressions) < 2 {
		return strings.Join(expressions, "")
	}
	return "(" + strings.Join(expressions, ") and (") + ")"
}
