// Package template evaluates Blox's CloudFormation templates, so that tests can verify and run what a stack with given
// parameters contains. It supports the functions that the templates use for resources and environment variables.
package template

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// pseudo are the values of CloudFormation's pseudo parameters.
var pseudo = map[string]string{
	"AWS::AccountId": "123456789012", "AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::StackName": "BloxAws",
	"AWS::URLSuffix": "amazonaws.com",
}

const noValue = "AWS::NoValue"

// Stack is a template with the values of its parameters.
type Stack struct {
	parameters map[string]string
	conditions map[string]any
	resources  map[string]any
}

// Read reads a template. It is an error to give a parameter that the template does not have.
func Read(path string, parameters map[string]string) (*Stack, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	parsed, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	s := &Stack{parameters: map[string]string{}}
	s.conditions, _ = parsed["Conditions"].(map[string]any)
	s.resources, _ = parsed["Resources"].(map[string]any)
	declared, _ := parsed["Parameters"].(map[string]any)
	for name, declaration := range declared {
		value, _ := declaration.(map[string]any)["Default"].(string)
		s.parameters[name] = value
	}
	for name, value := range parameters {
		if _, ok := declared[name]; !ok {
			return nil, fmt.Errorf("%s has no parameter %q", path, name)
		}
		s.parameters[name] = value
	}
	return s, nil
}

// Parse parses YAML. A CloudFormation short form becomes a map: {"!Ref": "Queue"}.
func Parse(text []byte) (map[string]any, error) {
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return nil, err
	}
	if len(node.Content) == 0 {
		return nil, fmt.Errorf("empty document")
	}
	fields, ok := plain(node.Content[0]).(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the document is not a mapping")
	}
	return fields, nil
}

func plain(n *yaml.Node) (value any) {
	switch n.Kind {
	case yaml.MappingNode:
		fields := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			fields[n.Content[i].Value] = plain(n.Content[i+1])
		}
		value = fields
	case yaml.SequenceNode:
		items := []any{}
		for _, item := range n.Content {
			items = append(items, plain(item))
		}
		value = items
	case yaml.AliasNode:
		return plain(n.Alias)
	default:
		value = n.Value
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return map[string]any{n.Tag: value}
	}
	return value
}

// IDs returns the sorted logical IDs of the resources that the stack has.
func (s *Stack) IDs() (ids []string) {
	for id := range s.resources {
		if s.Has(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Has reports whether the stack has a resource.
func (s *Stack) Has(id string) bool {
	resource, _ := s.resources[id].(map[string]any)
	if resource == nil {
		return false
	}
	condition, ok := resource["Condition"].(string)
	return !ok || s.holds(condition)
}

// Properties returns the evaluated properties of a resource; nil if the stack does not have it.
func (s *Stack) Properties(id string) any {
	if !s.Has(id) {
		return nil
	}
	return s.evaluate(s.resources[id].(map[string]any)["Properties"])
}

// holds evaluates a condition.
func (s *Stack) holds(name string) bool {
	value, ok := s.conditions[name]
	if !ok {
		panic("no condition " + name)
	}
	return s.isTrue(value)
}

func (s *Stack) isTrue(value any) bool {
	for function, arguments := range value.(map[string]any) {
		switch arguments := arguments.(type) {
		case string:
			if function == "!Condition" || function == "Condition" {
				return s.holds(arguments)
			}
		case []any:
			switch function {
			case "!Equals":
				return s.evaluate(arguments[0]) == s.evaluate(arguments[1])
			case "!Not":
				return !s.isTrue(arguments[0])
			case "!And":
				return !slices.ContainsFunc(arguments, func(argument any) bool { return !s.isTrue(argument) })
			case "!Or":
				return slices.ContainsFunc(arguments, s.isTrue)
			}
		}
	}
	panic(fmt.Sprintf("unsupported condition %v", value))
}

// evaluate replaces the functions in value. A reference to a resource becomes its logical ID, an attribute "ID.Name".
// Functions that depend on an account, such as !GetAZs, stay.
func (s *Stack) evaluate(value any) any {
	switch value := value.(type) {
	case []any:
		items := []any{}
		for _, item := range value {
			if item = s.evaluate(item); item != noValue {
				items = append(items, item)
			}
		}
		return items
	case map[string]any:
		if len(value) == 1 {
			for function, argument := range value {
				if result, ok := s.call(function, argument); ok {
					return result
				}
			}
		}
		fields := map[string]any{}
		for name, field := range value {
			if field = s.evaluate(field); field != noValue {
				fields[name] = field
			}
		}
		return fields
	}
	return value
}

// call evaluates one function; ok is false if it is not one.
func (s *Stack) call(function string, argument any) (result any, ok bool) {
	switch function {
	case "!Ref":
		return s.reference(argument.(string)), true
	case "!GetAtt":
		return argument, true
	case "Fn::Base64":
		return s.evaluate(argument), true
	case "!If":
		arguments := argument.([]any)
		if s.holds(arguments[0].(string)) {
			return s.evaluate(arguments[1]), true
		}
		return s.evaluate(arguments[2]), true
	case "!Join":
		arguments := argument.([]any)
		var parts []string
		switch list := s.evaluate(arguments[1]).(type) {
		case string: // a list parameter
			parts = strings.Split(list, ",")
		case []any:
			for _, part := range list {
				parts = append(parts, fmt.Sprint(part))
			}
		}
		return strings.Join(parts, arguments[0].(string)), true
	case "!Sub":
		return s.substitute(argument), true
	}
	return nil, false
}

func (s *Stack) reference(name string) string {
	if value, ok := pseudo[name]; ok {
		return value
	}
	if value, ok := s.parameters[name]; ok {
		return value
	}
	return name
}

var variable = regexp.MustCompile(`\$\{(!?)([^}]+)\}`)

// substitute evaluates !Sub, whose argument is a text or a list of a text and variables.
func (s *Stack) substitute(argument any) string {
	text, own := argument, map[string]any{}
	if arguments, ok := argument.([]any); ok {
		text = arguments[0]
		own, _ = s.evaluate(arguments[1]).(map[string]any)
	}
	return variable.ReplaceAllStringFunc(text.(string), func(found string) string {
		parts := variable.FindStringSubmatch(found)
		if parts[1] == "!" {
			return "${" + parts[2] + "}"
		}
		if value, ok := own[parts[2]]; ok {
			return fmt.Sprint(value)
		}
		return s.reference(parts[2])
	})
}
