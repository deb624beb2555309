// The vocabulary of the generators that Pebble was trained with (packages/pebble/training/gen.py).

const list = (words: string): readonly string[] => words.split(" ");

export const lists = {
  FIRST: list(
    "Anna Ben Clara David Ella Frank Grace Henry Iris Jack Karen Leo Mia Noah Olivia Paul Quinn Rosa Sam Tina Uma Victor Wendy Xavier Yara Zane Alice Bruno Celia Diego Elena Felix Gina Hugo Irene Jonas Kira Lars Maya Nils Oscar Petra Ralph Sofia Tomas Ursula Vera Walter Yusuf Zoe Amir Bella Carl Dora Emil Flora George Hanna Ivan Julia Kurt Lena Max Nora Otto Pia Rita Simon Thea Uwe Violet Will Adele Boris Cora Dean Edith Floyd Gwen Harold Ida Joel Kate Liam Mabel Ned Opal Percy Ruth Seth Tess Vince Wes",
  ),
  CITIES: [
    ...list(
      "Paris London Rome Berlin Madrid Vienna Lisbon Oslo Athens Dublin Prague Warsaw Helsinki Budapest Cairo Tokyo Sydney Boston Chicago Denver Seattle Houston Atlanta Toronto Montreal Mexico Lima Bogota Nairobi Lagos Mumbai Delhi Bangkok Hanoi Manila Seoul Osaka Kyoto Geneva Milan Naples Venice Munich Hamburg Zurich Brussels Antwerp Bergen Turin Porto Seville Granada Cork Leeds York Bath Oxford Cambridge Salem Austin Dallas Phoenix Portland Tampa Miami Havana Quito Santiago",
    ),
    "New York",
    "Los Angeles",
    "Cape Town",
    "Hong Kong",
    "Buenos Aires",
    "New Orleans",
    "Salt Lake City",
    "Rio de Janeiro",
    "Tel Aviv",
    "Kuala Lumpur",
  ],
  ANIMALS: list(
    "dog cat horse cow sheep goat fox wolf bear deer rabbit mouse squirrel owl hawk eagle crow duck goose swan frog turtle snake lizard whale shark salmon trout bee spider ant butterfly lion tiger zebra camel monkey elephant otter beaver badger hedgehog",
  ),
  FOODS: list(
    "bread cheese soup rice pasta apple pear plum grape lemon onion carrot potato bean tomato honey butter cake pie cookie egg ham sausage salad pancake noodle mushroom cabbage spinach peach cherry melon olive garlic pepper",
  ),
  PLACES: list(
    "kitchen garden cellar attic library office garage hallway bedroom balcony barn harbor station market museum theater church school bakery hospital park forest meadow bridge tower castle cave island valley village tavern workshop",
  ),
  JOBS: list(
    "doctor teacher farmer sailor baker carpenter lawyer nurse pilot painter singer poet soldier tailor butcher miner engineer clerk judge cook fisherman gardener librarian mechanic dentist",
  ),
  OBJECTS: list(
    "key lamp book coin ring sword map letter basket bottle candle mirror clock drum flute hammer shovel rope bucket umbrella hat scarf glove boot pillow blanket kettle spoon knife plate compass lantern feather stone shell vase",
  ),
  VEHICLES: list(
    "car bus train truck bicycle boat ship airplane wagon tractor sled canoe ferry tram scooter van carriage",
  ),
  WEATHER: list("rain snow wind fog hail thunder frost sunshine drizzle sleet clouds lightning"),
  TOOLS: list("hammer saw drill wrench chisel pliers axe rake shovel screwdriver file needle"),
  COLORS: list("red blue green yellow black white brown gray purple orange pink silver golden crimson violet"),
  INSTR: list("violin piano guitar trumpet flute drum cello harp clarinet organ banjo"),
  CLOTHES: list("coat shirt dress skirt scarf hat glove boot sock jacket vest apron cloak"),
  BODY: list("arm leg head hand foot knee shoulder back neck ear eye nose finger toe"),
  SPORTS: list("football tennis hockey chess golf rugby swimming rowing skiing running wrestling boxing"),
} as const;

/** Sentences by what they are about; names in braces stand for a word of that list. */
export const classes: Readonly<Record<string, readonly string[]>> = {
  animal: [
    "I saw a {ANIMALS} near the {PLACES}.",
    "The {COLORS} {ANIMALS} slept all day.",
    "Do {ANIMALS}s live in the {PLACES}?",
    "A small {ANIMALS} followed {FIRST} home.",
  ],
  food: [
    "We ate {FOODS} and {FOODS} for dinner.",
    "{FIRST} bought some {FOODS} at the market.",
    "How long should the {FOODS} be cooked?",
    "The {FOODS} tasted of {FOODS}.",
  ],
  weather: [
    "There was {WEATHER} in {CITIES} last night.",
    "The forecast says {WEATHER} until Monday.",
    "{WEATHER} and {WEATHER} came down from the hills.",
    "Will there be {WEATHER} tomorrow?",
  ],
  vehicle: [
    "The {VEHICLES} stopped in front of the {PLACES}.",
    "{FIRST} repaired the old {COLORS} {VEHICLES}.",
    "How fast can a {VEHICLES} go?",
    "They sold the {VEHICLES} to a {JOBS}.",
  ],
  job: [
    "{FIRST} works as a {JOBS} in {CITIES}.",
    "The {JOBS} asked the {JOBS} for advice.",
    "Why did {FIRST} want to be a {JOBS}?",
    "My uncle was a {JOBS} for thirty years.",
  ],
  place: [
    "Where is the {PLACES} of {CITIES}?",
    "The road leads from the {PLACES} to the {PLACES}.",
    "They met at the {PLACES} in {CITIES}.",
    "Is the {PLACES} far from here?",
  ],
  music: [
    "{FIRST} plays the {INSTR} every evening.",
    "The {INSTR} was out of tune.",
    "A song for {INSTR} and {INSTR} was heard.",
    "Who taught {FIRST} to play the {INSTR}?",
  ],
  clothing: [
    "{FIRST} wore a {COLORS} {CLOTHES} and a {CLOTHES}.",
    "The {CLOTHES} was too small.",
    "Who left a {CLOTHES} in the {PLACES}?",
    "She sewed a {CLOTHES} for {FIRST}.",
  ],
  health: [
    "{FIRST} hurt the left {BODY} yesterday.",
    "The doctor looked at the {BODY} and the {BODY}.",
    "Why does my {BODY} ache?",
    "A bandage was put on the {BODY}.",
  ],
  sport: [
    "{FIRST} won the {SPORTS} match in {CITIES}.",
    "They practiced {SPORTS} after school.",
    "Is {SPORTS} harder than {SPORTS}?",
    "The {SPORTS} season begins in spring.",
  ],
  number: [
    "How many {ANIMALS}s are in the {PLACES}?",
    "There are {N} {OBJECTS}s on the table.",
    "How many people live in {CITIES}?",
    "{FIRST} counted {N} coins.",
  ],
  date: [
    "When did {FIRST} arrive in {CITIES}?",
    "The ship left on the {N} of May.",
    "In what year was {FIRST} born?",
    "The fair was held in {YEAR}.",
  ],
  money: [
    "The {OBJECTS} cost {N} dollars.",
    "How much does a {OBJECTS} cost?",
    "{FIRST} owes the {JOBS} {N} coins.",
    "The price of {FOODS} went up again.",
  ],
  tool: [
    "Hand me the {TOOLS}, please.",
    "The {TOOLS} and the {TOOLS} are in the box.",
    "{FIRST} broke the {TOOLS}.",
    "What is a {TOOLS} used for?",
  ],
  color: [
    "The wall was painted {COLORS}.",
    "Is it {COLORS} or {COLORS}?",
    "{FIRST} prefers {COLORS} to {COLORS}.",
    "The {OBJECTS} turned {COLORS}.",
  ],
  person: [
    "Who wrote to {FIRST}?",
    "{FIRST} is the brother of {FIRST}.",
    "Who is the {JOBS} of the {PLACES}?",
    "{FIRST} married {FIRST} in {CITIES}.",
  ],
};
