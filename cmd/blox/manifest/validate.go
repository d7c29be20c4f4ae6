package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	apierrors "github.com/go-openapi/errors"
	"github.com/go-openapi/strfmt"

	"github.com/blox/blox/daemon-scheduler/query"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// Validate returns the problems of the document that are visible without the service: unknown fields, wrong types,
// missing fields, values out of range and malformed queries.
func (d Document) Validate() error {
	fields := withoutNulls(d.Fields)
	if problems := fieldProblems(fields, reflect.TypeFor[models.CreateEnvironmentRequest](), ""); len(problems) > 0 {
		return d.problems(problems)
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Source, err)
	}
	var request models.CreateEnvironmentRequest
	if err := json.Unmarshal(body, &request); err != nil {
		return fmt.Errorf("%s: %w", d.Source, err)
	}
	problems := texts(request.Validate(strfmt.Default))
	if group := request.InstanceGroup; group != nil {
		if group.Cluster == "" && request.FromService == nil {
			problems = append(problems, "instanceGroup.cluster is required")
		}
		problems = append(problems, queryProblem("instanceGroup.query", group.Query)...)
	}
	if c := request.DeploymentConfiguration; c != nil && c.Canary != nil {
		problems = append(problems, queryProblem("deploymentConfiguration.canary.query", c.Canary.Query)...)
	}
	if request.FromService != nil { // whose task definition and cluster are the defaults
		problems = slices.DeleteFunc(problems, func(problem string) bool {
			return problem == "taskDefinition is required" || problem == "instanceGroup is required"
		})
	}
	return d.problems(problems)
}

// ValidateFields returns the unknown fields and the wrong types of a document that need not be complete. A null is of
// every type.
func (d Document) ValidateFields() error {
	return d.problems(fieldProblems(d.Fields, reflect.TypeFor[models.CreateEnvironmentRequest](), ""))
}

// problems returns one error for all problems of the document; nil if there are none.
func (d Document) problems(list []string) error {
	var all []error
	for _, problem := range list {
		all = append(all, fmt.Errorf("%s: %s", d.Source, problem))
	}
	return errors.Join(all...)
}

// texts flattens the errors of a model's validation.
func texts(err error) (list []string) {
	var several *apierrors.CompositeError
	switch {
	case err == nil:
	case errors.As(err, &several):
		for _, one := range several.Errors {
			list = append(list, texts(one)...)
		}
	default:
		list = append(list, strings.ReplaceAll(err.Error(), " in body ", " "))
	}
	return list
}

func queryProblem(field, text string) []string {
	if text == "" {
		return nil
	}
	if _, err := query.Parse(text); err != nil {
		return []string{fmt.Sprintf("%s is invalid: %v", field, err)}
	}
	return nil
}
