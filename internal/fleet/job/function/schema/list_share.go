package schema

func basketFunctions() []Function {
	name := Arg{Name: "name", Type: String, Required: true, Max: 63, Doc: "name of the value: a-z, 0-9, _ and -"}
	return []Function{
		{Name: "basket.get", ReadOnly: true, Example: "'web-*' addr",
			Doc:  "Returns what the hosts of a target share under a name, as far as the server's basket.rules let this host read it. Hosts that share nothing there are left out.",
			Args: []Arg{{Name: "target", Type: String, Required: true, Max: 16 << 10, Doc: "whose values, such as web-*"}, name}},
		{Name: "basket.put", Elsewhere: true, Doc: "Shares a value of this host under a name. It is JSON, or else a text.", Example: "role primary",
			Args: []Arg{name, {Name: "value", Type: String, Required: true, Max: 64 << 10, Doc: "the value; JSON is kept as such"}}},
		{Name: "basket.remove", Elsewhere: true, Doc: "Takes a shared value of this host back, and returns whether there was one.", Example: "role", Args: []Arg{name}},
		{Name: "basket.list", ReadOnly: true, Doc: "Returns what this host shares, without the values."},
	}
}

func eventFunctions() []Function {
	return []Function{
		{Name: "event.send", Elsewhere: true, Doc: "Tells the masters of an event, and returns its id when it is stored.", Example: `disk.full '{"mount":"/"}'`,
			Args: []Arg{{Name: "name", Type: String, Required: true, Max: 264, Doc: "name of the event: words with dots between them"},
				{Name: "data", Type: String, Max: 32 << 10, Doc: "what there is to know; JSON is kept as such, else it is a text"}}},
	}
}
