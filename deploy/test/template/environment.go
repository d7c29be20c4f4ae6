package template

import "fmt"

// Environment returns the variables of the first container in a task definition, each as NAME=VALUE. The value of a
// secret is its reference.
func (s *Stack) Environment(task string) (variables []string, err error) {
	properties, _ := s.Properties(task).(map[string]any)
	containers, _ := properties["ContainerDefinitions"].([]any)
	if len(containers) == 0 {
		return nil, fmt.Errorf("the stack has no task definition %q", task)
	}
	container, _ := containers[0].(map[string]any)
	for list, value := range map[string]string{"Environment": "Value", "Secrets": "ValueFrom"} {
		items, _ := container[list].([]any)
		for _, item := range items {
			field, _ := item.(map[string]any)
			variables = append(variables, fmt.Sprintf("%v=%v", field["Name"], field[value]))
		}
	}
	return variables, nil
}
