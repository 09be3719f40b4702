//! Which elements are lists even when there is one: a small tree of names, walked along with the elements.

/// The declared lists.
#[derive(Debug, Clone, Default)]
pub(in crate::codec) struct Arrays {
    /// The children of the place before the root element are at index 0 when there are any.
    places: Vec<Place>,
}

#[derive(Debug, Clone, Default)]
struct Place {
    children: Vec<(String, usize)>,
    is_array: bool,
}

/// A place in the tree; `None` where nothing is declared any more.
pub(in crate::codec) type At = Option<usize>;

impl Arrays {
    pub(super) fn add(&mut self, path: &str) -> Result<(), String> {
        let names: Vec<&str> = path.split('.').collect();
        if names.len() < 2 || !names.iter().all(|name| super::chars::is_ncname(name)) {
            return Err("a list is named by its path from the root element: root.items.item".into());
        }
        if self.places.is_empty() {
            self.places.push(Place::default());
        }
        let mut at = 0;
        for name in names {
            at = match self.child(Some(at), name) {
                Some(child) => child,
                None => {
                    self.places.push(Place::default());
                    let child = self.places.len() - 1;
                    self.places[at].children.push((name.to_owned(), child));
                    child
                }
            };
        }
        self.places[at].is_array = true;
        Ok(())
    }

    pub(super) fn start(&self) -> At {
        if self.places.is_empty() { None } else { Some(0) }
    }

    pub(super) fn child(&self, at: At, name: &str) -> At {
        let place = self.places.get(at?)?;
        place.children.iter().find(|(child, _)| child == name).map(|(_, child)| *child)
    }

    pub(super) fn is_array(&self, at: At) -> bool {
        at.and_then(|at| self.places.get(at)).is_some_and(|place| place.is_array)
    }
}
