//! What a context is made of: one line per aggregate.

/// Declares `Command`, `Event`, `Rejection` and `State` of a context. A line `Kind(module::Type)`
/// names the variant, the module with the aggregate's enums, and the aggregate; the module's name
/// is the kind's name in what is stored, so it never changes.
macro_rules! context {
    ($($kind:ident($module:ident::$aggregate:ident)),+ $(,)?) => {
        /// A wish addressed to one of the context's aggregates.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Command {
            $(#[doc = concat!("A wish addressed to a [`", stringify!($module), "`].")]
            $kind($module::Command),)+
        }

        /// A fact of one of the context's aggregates.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Event {
            $(#[doc = concat!("A fact of a [`", stringify!($module), "`].")]
            $kind($module::Event),)+
        }

        /// Why a command is refused.
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum Rejection {
            $(#[doc = concat!("By the rules of a [`", stringify!($module), "`].")]
            #[error(transparent)]
            $kind(#[from] $module::Rejection),)+
            /// The id is that of an aggregate of another kind.
            #[error("the id belongs to something of another kind")]
            OtherKind,
        }

        /// An aggregate of whichever kind its first event made it.
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "kind", content = "state", rename_all = "snake_case")]
        pub enum State {
            /// Before the first event.
            #[default]
            Nothing,
            $(#[doc = concat!("A [`", stringify!($module), "`].")]
            $kind($module::$aggregate),)+
        }

        impl Command {
            /// The refusal of this command where its aggregate does not exist.
            pub fn not_found(&self) -> Rejection {
                match self {
                    $(Self::$kind(_) => Rejection::$kind($module::Rejection::NotFound),)+
                }
            }
        }

        impl Event {
            /// The stable name of the kind of aggregate that it happened to.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => stringify!($module),)+
                }
            }
        }

        impl State {
            /// The stable name of the aggregate's kind; `nothing` before the first event.
            pub fn kind(&self) -> &'static str {
                match self {
                    Self::Nothing => "nothing",
                    $(Self::$kind(_) => stringify!($module),)+
                }
            }
        }

        impl $crate::Refusal for Rejection {
            fn code(&self) -> &'static str {
                match self {
                    $(Self::$kind(rejection) => rejection.code(),)+
                    Self::OtherKind => "OTHER_KIND",
                }
            }

            fn codes() -> Vec<&'static str> {
                let mut codes = vec!["OTHER_KIND"];
                $(codes.extend(<$module::Rejection as $crate::Refusal>::codes());)+
                codes
            }
        }

        impl $crate::Aggregate for State {
            type Command = Command;
            type Event = Event;
            type Rejection = Rejection;

            fn decide(
                &self,
                id: uuid::Uuid,
                command: &Command,
                at: $crate::Timestamp,
            ) -> Result<Vec<Event>, Rejection> {
                match (self, command) {
                    $((Self::$kind(state), Command::$kind(command)) => {
                        let events = state.decide(id, command, at)?;
                        Ok(events.into_iter().map(Event::$kind).collect())
                    }
                    (Self::Nothing, Command::$kind(command)) => {
                        let events = $module::$aggregate::default().decide(id, command, at)?;
                        Ok(events.into_iter().map(Event::$kind).collect())
                    })+
                    _ => Err(Rejection::OtherKind),
                }
            }

            fn evolve(&mut self, event: &Event, at: $crate::Timestamp) {
                if let Self::Nothing = self {
                    *self = match event {
                        $(Event::$kind(_) => Self::$kind($module::$aggregate::default()),)+
                    };
                }
                match (self, event) {
                    $((Self::$kind(state), Event::$kind(event)) => state.evolve(event, at),)+
                    // Never decided, so it never happened: see `OtherKind`.
                    _ => {}
                }
            }

            fn is_critical(event: &Event) -> bool {
                match event {
                    $(Event::$kind(event) => $module::$aggregate::is_critical(event),)+
                }
            }
        }

        $(impl From<$module::Command> for Command {
            fn from(command: $module::Command) -> Self {
                Self::$kind(command)
            }
        }
        impl From<$module::Event> for Event {
            fn from(event: $module::Event) -> Self {
                Self::$kind(event)
            }
        })+

        context!(@records Command: $($kind($module),)+);
        context!(@records Event: $($kind($module),)+);
    };
    (@records $enum:ident: $($kind:ident($module:ident),)+) => {
        impl $crate::RecordEnum for $enum {
            fn schemas() -> Vec<apache_avro::Schema> {
                [$(<$module::$enum as $crate::RecordEnum>::schemas()),+].concat()
            }
            fn record_name(&self) -> &'static str {
                match self {
                    $(Self::$kind(record) => record.record_name(),)+
                }
            }
            fn write<W: $crate::RecordWriter>(&self, writer: W) -> W::Output {
                match self {
                    $(Self::$kind(record) => record.write(writer),)+
                }
            }
            fn read<R: $crate::RecordReader>(
                name: &str,
                reader: &R,
            ) -> Option<Result<Self, R::Error>> {
                $(if let Some(record) = <$module::$enum as $crate::RecordEnum>::read(name, reader) {
                    return Some(record.map(Self::$kind));
                })+
                None
            }
        }
    };
}
