package schema

func settingsFunctions() []Function {
	return []Function{
		{Name: "settings.items", ReadOnly: true, Doc: "Returns all settings of the host, as it has them."},
		{Name: "settings.get", ReadOnly: true, Doc: "Returns one setting of the host, as it has it. It may be a map or a list.", Example: "web.port 80",
			Args: []Arg{{Name: "key", Type: String, Required: true, Doc: "dotted key, such as role or web.port; a number leads into a list"},
				{Name: "default", Type: String, Doc: "returned when there is no such setting"}}},
		{Name: "settings.refresh", ReadOnly: true, Doc: "Asks a master for the settings, and returns their revision and whether they are new. Hosts do so by themselves when settings change."},
	}
}
