package ecssim

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// shape returns the task definition as Describe shows it; tags are a field beside it.
func (d *definition) shape() map[string]any {
	requires := []attribute{}
	for _, name := range d.requiredAttributes {
		requires = append(requires, attribute{Name: name})
	}
	shape := map[string]any{
		"taskDefinitionArn": d.arn, "revision": d.revision, "status": d.status, "requiresAttributes": requires,
		"compatibilities": []string{"EXTERNAL", "EC2"}, "registeredAt": epoch(d.registeredAt), "registeredBy": d.registeredBy,
	}
	if d.input.NetworkMode == "awsvpc" {
		shape["compatibilities"] = []string{"EC2", "FARGATE"}
	}
	if !d.deregistered.IsZero() {
		shape["deregisteredAt"] = epoch(d.deregistered)
	}
	for name, value := range d.raw {
		shape[name] = value
	}
	shape["family"] = d.family
	return shape
}

func registerTaskDefinition(s *Sim, r request) ([]byte, error) {
	s.lock()
	defer s.unlock()
	d, err := s.registerDefinition(r.body)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"taskDefinition": d.shape(), "tags": copyOf(d.tags)})
}

type definitionRef struct {
	TaskDefinition string   `json:"taskDefinition"`
	Include        []string `json:"include"`
}

func (s *Sim) describeTaskDefinition(in definitionRef) (any, error) {
	d := s.definition(in.TaskDefinition)
	if d == nil {
		return nil, clientError("Unable to describe task definition.")
	}
	out := map[string]any{"taskDefinition": d.shape()}
	if slices.Contains(in.Include, "TAGS") {
		out["tags"] = copyOf(d.tags)
	}
	return out, nil
}

func (s *Sim) deregisterTaskDefinition(in definitionRef) (any, error) {
	if !strings.HasPrefix(in.TaskDefinition, "arn:") && !strings.Contains(in.TaskDefinition, ":") {
		return nil, invalid("The specified task definition does not have a revision: %.300s", in.TaskDefinition)
	}
	d := s.definition(in.TaskDefinition)
	if d == nil {
		return nil, clientError(
			"The specified task definition does not exist. Specify a valid family, revision or ARN and try again.",
		)
	}
	if d.status == statusActive {
		d.status, d.deregistered = statusInactive, now()
	}
	return map[string]any{"taskDefinition": d.shape()}, nil
}

type listDefinitionsInput struct {
	pageInput
	FamilyPrefix string `json:"familyPrefix"`
	Status       string `json:"status"`
	Sort         string `json:"sort"`
}

func (s *Sim) listTaskDefinitions(in listDefinitionsInput) (any, error) {
	status := cmp.Or(in.Status, statusActive)
	if status != statusActive && status != statusInactive {
		return nil, invalid("Invalid status: %.100q", in.Status)
	}
	var all []*definition
	for _, family := range slices.Sorted(maps.Keys(s.definitions)) {
		if in.FamilyPrefix == "" || family == in.FamilyPrefix {
			all = append(all, s.definitions[family]...)
		}
	}
	if in.Sort == "DESC" {
		slices.Reverse(all)
	}
	return listPageByIndex("taskDefinitionArns", in.pageInput, all, func(d *definition) (string, bool) {
		return d.arn, d.status == status
	})
}

func (s *Sim) listTaskDefinitionFamilies(in listDefinitionsInput) (any, error) {
	families := slices.Sorted(maps.Keys(s.definitions))
	families = slices.DeleteFunc(families, func(family string) bool { return !strings.HasPrefix(family, in.FamilyPrefix) })
	return listPageByIndex("families", in.pageInput, families, func(family string) (string, bool) {
		active := slices.ContainsFunc(s.definitions[family], func(d *definition) bool { return d.status == statusActive })
		return family, in.Status == "ALL" || active == (in.Status != statusInactive)
	})
}
